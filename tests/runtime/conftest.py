import pytest

from data_utils.cli import TORCHRUN


@pytest.fixture
def two_processes(monkeypatch):
    """As if torchrun had started this process and another, on a machine with one GPU."""
    for name in TORCHRUN:
        monkeypatch.setenv(name, "2")
    monkeypatch.setattr("torch.cuda.init", lambda: None)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_arch_list", lambda: ["sm_75"])
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda gpu: (7, 5))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda gpu: "Tesla T4")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda gpu: (15 * 2**30, 16 * 2**30))

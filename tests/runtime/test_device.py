"""Which GPUs are refused: those that are not there, that are taken, and that this torch has no kernels for."""

import contextlib

import pytest

from data_utils.errors import UserError
from mt_dnn.runtime.device import choose_device


@pytest.mark.parametrize("named, refused", [("1,9", True), ("1,", False), ("1", False), ("", False)])
def test_a_gpu_that_is_not_there_is_refused_as_two_processes_would_take_one_gpu(
    two_processes, monkeypatch, named, refused
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    for name in ("cuda", "auto"):
        with pytest.raises(UserError, match=f"={named}: torch sees 1 ") if refused else contextlib.nullcontext():
            assert choose_device(name).type == "cuda"


def test_gpus_are_counted_as_cuda_shows_them_not_as_the_driver_does(two_processes, monkeypatch):
    counts = [2]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: counts[-1])
    monkeypatch.setattr("torch.cuda.init", lambda: counts.append(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UserError, match="=0,1: torch sees 1 of these GPUs, expected .*, and one alone in MIG mode"):
        choose_device("cuda")


@pytest.mark.parametrize(
    "built_for, capability, has_kernels",
    [
        (["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"], (7, 0), False),
        (["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"], (8, 9), True),
        (["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"], (12, 1), True),
        (["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"], (11, 0), False),
        (["sm_80", "sm_86"], (8, 0), True),
        (["sm_86"], (8, 0), False),
        (["sm_80", "compute_90"], (12, 0), True),
        (["sm_80", "compute_90"], (7, 5), False),
        (["gfx90a", "gfx942"], (9, 4), True),
    ],
)
def test_a_gpu_that_this_torch_has_no_kernels_for_is_refused(
    two_processes, monkeypatch, built_for, capability, has_kernels
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_arch_list", lambda: built_for)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda gpu: capability)
    for name in ("cuda", "auto"):
        refused = pytest.raises(UserError, match="^Tesla .*: torch .* has no kernels for this GPU, expected ")
        with contextlib.nullcontext() if has_kernels else refused:
            assert choose_device(name).type == "cuda"


@pytest.mark.parametrize("local_rank, refused", [(None, False), ("0", False), ("1", True)])
def test_a_gpu_that_the_process_does_not_use_may_be_too_old(two_processes, monkeypatch, local_rank, refused):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda gpu: [(7, 5), (3, 5)][gpu])
    monkeypatch.delenv("LOCAL_RANK") if local_rank is None else monkeypatch.setenv("LOCAL_RANK", local_rank)
    with pytest.raises(UserError, match="has no kernels") if refused else contextlib.nullcontext():
        assert choose_device("auto").type == "cuda"


def test_a_gpu_that_another_process_has_for_itself_is_one_line(two_processes, monkeypatch):
    def taken(gpu):
        if gpu == 1:
            raise RuntimeError(
                "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might"
            )
        return 15 * 2**30, 16 * 2**30

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.mem_get_info", taken)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert choose_device("auto").type == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UserError, match=r"^GPU 1 \(Tesla T4; CUDA_VISIBLE_DEVICES=3,5\): CUDA error: .* unavailable; "):
        choose_device("auto")

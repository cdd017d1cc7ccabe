"""What --precision auto chooses."""

import pytest
import torch

from mt_dnn.runtime.machine import choose_precision


@pytest.mark.parametrize("native, chosen", [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_the_hardware_multiplies_it_natively(monkeypatch, native, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": native}, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert [choose_precision("auto", torch.device(name)) for name in ("cpu", "cuda")] == [chosen] * 2


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(name):
    assert choose_precision(name, torch.device("cpu")) == name

"""What --precision auto chooses, and what is set to save time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mt_dnn.runtime.machine import choose_gpu_kernels, choose_precision, cpu_has_bfloat16, save_time

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("native, chosen", [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_on_a_gpu_that_has_it(monkeypatch, native, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert choose_precision("auto", torch.device("cuda")) == chosen


@pytest.mark.parametrize(
    "has_bfloat16, seconds, chosen",
    [
        (True, {"float32": 4, "bfloat16": 1}, "bfloat16"),
        (True, {"float32": 1, "bfloat16": 2}, "float32"),
        (False, {"float32": 4, "bfloat16": 1}, "float32"),
    ],
)
def test_auto_is_bfloat16_on_a_cpu_that_multiplies_it_much_faster(monkeypatch, has_bfloat16, seconds, chosen):
    clock, multiply = [0.0], torch.mm

    def timed(left, right):
        clock[0] += seconds[str(left.dtype).removeprefix("torch.")]
        return multiply(left, right)

    monkeypatch.setattr("mt_dnn.runtime.machine.cpu_has_bfloat16", lambda: has_bfloat16)
    monkeypatch.setattr(torch, "mm", timed)
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert choose_precision("auto", torch.device("cpu")) == chosen


@pytest.mark.parametrize("feature, has_it", [("amx_bf16", True), ("avx512_bf16", True), ("avx2", False)])
def test_which_cpus_have_an_instruction_for_bfloat16(monkeypatch, feature, has_it):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True}, raising=False)
    assert cpu_has_bfloat16.__wrapped__() is has_it


def test_auto_measures_on_one_thread_as_programs_on_other_cores_would_change_the_answer(monkeypatch):
    threads, used, multiply = torch.get_num_threads(), set(), torch.mm

    def noted(left, right):
        used.add(torch.get_num_threads())
        return multiply(left, right)

    monkeypatch.setattr("mt_dnn.runtime.machine.cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(torch, "mm", noted)
    torch.set_num_threads(2)
    try:
        choose_precision("auto", torch.device("cpu"))
        assert used == {1} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "given, tasks, kept", [(None, 1, "2048"), (None, 3, "6144"), (None, 8, "8192"), ("100", 3, "100")]
)
def test_onednn_keeps_kernels_for_every_task_unless_the_environment_says_how_many(monkeypatch, given, tasks, kept):
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)
    save_time(tasks)
    assert os.environ[name] == kept


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(name):
    assert choose_precision(name, torch.device("cpu")) == name


def test_attention_on_a_gpu_is_not_computed_by_cudnn():
    torch.backends.cuda.enable_cudnn_sdp(True)
    choose_gpu_kernels()
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_float32_is_whole_where_the_environment_asks_for_tf32(monkeypatch):
    code = "import torch; from mt_dnn.runtime.machine import choose_gpu_kernels; "
    code += "before = torch.get_float32_matmul_precision(); choose_gpu_kernels(); "
    code += "print(before, torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32)"
    monkeypatch.setenv("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["high", "highest", "False"]

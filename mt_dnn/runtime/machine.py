"""How a run computes: precision of matrix products, and settings of the process that save time."""

import ctypes
import functools
import os
import sys
import time

import torch

from mt_dnn.runtime.distributed import on_main_process

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of C's malloc.h
KERNELS_OF_A_TASK, KERNELS = 2048, 8192  # of oneDNN that are kept, at most; 1000 of them take about 0.2 GB


def choose_precision(name: str, device: torch.device) -> str:
    """Return "bfloat16" or "float32" for --precision; auto is bfloat16 where the hardware multiplies it much faster."""
    if name != "auto":
        return name

    def is_faster() -> bool:
        if device.type == "cuda":
            return torch.cuda.is_bf16_supported(including_emulation=False)
        return cpu_is_faster_in_bfloat16()

    return "bfloat16" if on_main_process(is_faster) else "float32"  # one answer for all processes, also on unlike GPUs


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Whether this CPU has instructions that multiply matrices in bfloat16. False where torch can't tell."""
    features = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))


def cpu_is_faster_in_bfloat16() -> bool:
    """Whether this CPU multiplies matrices at least twice as fast in bfloat16 as in float32.

    Measured in 50 ms, as its features do not tell: of two CPUs with avx512_bf16 one was four times as fast, the other
    half as fast. Measured on one thread, so that other programs on other cores do not change the answer: the runs of a
    sweep should have one precision.
    """
    if not cpu_has_bfloat16():
        return False

    def seconds(dtype: torch.dtype) -> float:
        left, right = torch.ones(512, 768, dtype=dtype), torch.ones(768, 768, dtype=dtype)
        times = []
        for _ in range(6):  # the first takes longer
            started = time.perf_counter()
            torch.mm(left, right)
            times.append(time.perf_counter() - started)
        return min(times)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return seconds(torch.float32) > 2 * seconds(torch.bfloat16)
    finally:
        torch.set_num_threads(threads)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context in which the encoder's layers compute in `precision`; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def to_device(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Return a batch's tensors on `device`. A GPU fetches them on its own while the next batch is made."""
    if device.type == "cpu":
        return batch
    return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in batch.items()}


def choose_gpu_kernels() -> None:
    """Choose among torch's kernels for a GPU, whatever the environment says.

    Attention: not cuDNN's. It lacks the gradient of MPNet's position bias. Also, it makes a plan for every shape, and
    here most batches have a length of their own.

    float32: not TF32, which has 10 bits of the mantissa. Some containers switch it on by an environment variable.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.set_float32_matmul_precision("highest")


def save_time(n_tasks: int = 1) -> None:
    """Make the process faster without changing what it computes. Call it before the first computation.

    Memory: C's allocator hands large blocks back to the system as soon as they are free, and every batch has to get
    them anew, page by page. Here it keeps them.

    Kernels: oneDNN, which multiplies in bfloat16, makes a kernel for every shape, and keeps 1,024. A ticket of MiniLM
    needs up to 1,300, and each of several tasks has its own ticket. Here oneDNN keeps more, unless the environment says
    how many; else it would make them again in every epoch.

    Numbers below 1e-38 become 0: processors take a hundred times as long with them. Without gradients the momentum
    of a rare word's embedding becomes that small within 900 updates, and the threads that update it would slow down to
    a crawl.
    """
    torch.set_flush_denormal(True)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(min(KERNELS_OF_A_TASK * n_tasks, KERNELS)))
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda setting, value: None)  # glibc has it
        for setting, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 * 2**20)):
            mallopt(setting, value)

"""What --device chooses: a GPU or the CPU."""

import os
import re
import sys

import torch

from data_utils.cli import launched_by_torchrun
from data_utils.errors import UserError


def choose_device(name: str) -> torch.device:
    """Return the torch device for --device.

    Raises UserError where CUDA is asked for and there is none, this process's GPU is too old or too new for this torch
    or is taken by another process, or CUDA_VISIBLE_DEVICES names a GPU that is not there: CUDA leaves it out, and those
    named after it, so that two processes would run on one GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"--device cuda: {_why_no_cuda()} (torch {torch.__version__} of {sys.executable}); expected a GPU that "
            "torch can use (see nvidia-smi, CUDA_VISIBLE_DEVICES and docs/running.md), or --device cpu (cpu in place "
            "of a script's GPU id)"
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.init()  # before it, GPUs are counted that CUDA does not show, such as a second one in MIG mode
    named, gpus = os.environ.get("CUDA_VISIBLE_DEVICES", ""), torch.cuda.device_count()
    if len(list(filter(None, named.split(",")))) > gpus:
        raise UserError(
            f"CUDA_VISIBLE_DEVICES={named}: torch sees {gpus} of these GPUs, expected ids that nvidia-smi shows "
            "(a script's GPU id), and one alone in MIG mode"
        )
    gpu = int(os.environ["LOCAL_RANK"]) % gpus if launched_by_torchrun() else 0  # the one that this process uses
    if not _has_kernels(torch.cuda.get_device_capability(gpu)):
        raise UserError(
            f"{torch.cuda.get_device_name(gpu)}: torch {torch.__version__} has no kernels for this GPU, expected "
            "a GPU that it was built for (CUDA_VISIBLE_DEVICES or a script's GPU id chooses it), or a torch for "
            "another CUDA (docs/running.md), or --device cpu (cpu in place of a script's GPU id)"
        )
    try:
        torch.cuda.mem_get_info(gpu)  # the first call that needs the GPU itself
    except RuntimeError as error:
        raise UserError(
            f"GPU {gpu} ({torch.cuda.get_device_name(gpu)}; CUDA_VISIBLE_DEVICES={named}): {_first_line(error)}; "
            "expected a GPU that works and is free (nvidia-smi shows which programs use it, and whether its compute "
            "mode allows several), or --device cpu (cpu in place of a script's GPU id)"
        ) from None
    return torch.device("cuda")


def _has_kernels(capability: tuple[int, int]) -> bool:
    """Whether torch was built for GPUs of this compute capability; True if its list does not tell (ROCm).

    Kernels for sm_86 run on 8.6 and 8.9, not on 8.0 or 9.0. The driver compiles compute_90 for 9.0 and all newer ones.
    """
    built_for = re.findall(r"(sm|compute)_(\d+)(\d)", " ".join(torch.cuda.get_arch_list()))
    return not built_for or any(
        (int(major), int(minor)) <= capability and (kind == "compute" or int(major) == capability[0])
        for kind, major, minor in built_for
    )


def _why_no_cuda() -> str:
    """What torch says of it: no driver, a driver that is too old, a torch without CUDA."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return _first_line(error)
    return "no CUDA device is visible"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")

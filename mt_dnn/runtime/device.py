"""What --device chooses: a GPU or the CPU."""

import torch

from data_utils.errors import UserError


def choose_device(name: str) -> torch.device:
    """Return the torch device for --device; raise UserError where CUDA is asked for and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"--device cuda: {_why_no_cuda()}; expected a GPU that torch can use (see nvidia-smi, CUDA_VISIBLE_DEVICES "
            "and docs/running.md), or --device cpu (cpu in place of a script's GPU id)"
        )
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _why_no_cuda() -> str:
    """What torch says of it: no driver, a driver that is too old, a torch without CUDA."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0].rstrip(".")
    return "no CUDA device is visible"

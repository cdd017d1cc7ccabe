"""What goes wrong, for the reader: one line saying what is wrong, where, and what would be right."""

from pathlib import Path
from typing import Any

# What torch's allocators, CUDA's libraries and oneDNN say in a plain RuntimeError.
FULL = (
    "out of memory",
    "allocate memory",
    "ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "could not create a primitive",
    "could not create a memory",
    "NVML_SUCCESS == r",  # a part of a GPU (MIG, vGPU), where torch fails to say how much is used
)


class UserError(Exception):
    """Something the reader can mend: one line saying what is wrong, where, and what would be right."""


class NoSuchFile(UserError):
    """A file that is expected and not there; `path` is where."""

    def __init__(self, path: str | Path, expected: str) -> None:
        super().__init__(f"{path}: no such file, expected {expected}")
        self.path, self.expected = Path(path), expected

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.expected)  # it is sent to other processes


class RunFailed(UserError):
    """A run that failed on its own, as where memory is full. Other runs of a sweep may succeed."""


class FailedInAllProcesses(RunFailed):
    """A run that failed in all its processes, so that all of them can go on to the next one."""


class Diverged(FailedInAllProcesses):
    """A run whose loss or outputs are NaN or infinite, and would be so again from any of its checkpoints."""


def cut(text: str) -> str:
    """Return at most 200 characters of `text`, for an error line."""
    return text if len(text) <= 200 else f"{text[:200]} ..."


def is_memory_full(error: Exception) -> bool:
    """Whether an exception says that memory, of the machine or of the GPU, is full."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in FULL)

"""Memory that is full, whichever library says so, becomes one line."""

import contextlib
from collections.abc import Iterator

from data_utils.errors import RunFailed

# What torch's allocators, CUDA's libraries and oneDNN say in a plain RuntimeError.
FULL = ("out of memory", "allocate memory", "ALLOC_FAILED", "could not create a primitive", "could not create a memory")


@contextlib.contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Within the block, turn the error of a full memory into a RunFailed that gives `advice`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        import torch

        full = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in str(error) for words in FULL)
        if not full:
            raise
        raise RunFailed(f"the memory is full; {advice}") from None

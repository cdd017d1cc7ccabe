"""Memory that is full, whichever library says so, becomes one line."""

import contextlib
from collections.abc import Iterator

from data_utils.errors import RunFailed, is_memory_full


@contextlib.contextmanager
def memory_errors(advice: str = "end other programs that use it") -> Iterator[None]:
    """Within the block, turn the error of a full memory into a RunFailed that gives `advice`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_memory_full(error):
            raise
        raise RunFailed(f"the memory is full; {advice}") from None

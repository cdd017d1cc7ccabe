"""The runs that failed, as a page shows them."""

from collections.abc import Iterator, Sequence

from mt_dnn.records.record import Failure
from mt_dnn.reports.page import Block, Heading, table_of


def failure_blocks(failed: Sequence[Failure]) -> Iterator[Block]:
    """The table of these runs, if there are any."""
    if failed:
        yield Heading("Failed", 3)
        yield table_of({"folder": lambda failure: failure.name, "why": lambda failure: failure.why}, failed)

"""The runs that failed, as a page shows them."""

from collections.abc import Iterator, Sequence

from mt_dnn.reports.page import Block, Heading, table_of

Failure = tuple[str, str, str]  # name of the run, its place, its line


def failure_blocks(failed: Sequence[Failure]) -> Iterator[Block]:
    """The table of these runs, if there are any."""
    if failed:
        yield Heading("Failed", 3)
        yield table_of({"folder": lambda failure: failure[0], "why": lambda failure: failure[2]}, failed)

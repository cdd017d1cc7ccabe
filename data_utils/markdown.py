"""Tables in Markdown."""

from collections.abc import Iterable


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table with a header of `columns` and a line for each of `rows`; a | in a cell is escaped."""
    columns = list(columns)
    text = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in (columns, *rows)]
    text.insert(1, "|" + " --- |" * len(columns))
    return "\n".join(text)

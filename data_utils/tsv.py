"""Raw rows of tab-separated files. Every complaint names file and line.

There is no quoting: in GLUE's files a quote character is plain data. Rows end at a line feed and nowhere else
(other Unicode line separators stand inside sentences). A byte-order mark at the start of a file is skipped.
"""

import contextlib
import itertools
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from data_utils.advice import advice
from data_utils.errors import UserError, cut
from data_utils.files import reading
from data_utils.task_kinds import BadLabel
from data_utils.tasks import Layout, Task

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNSEEN = "Cc", "Cf"  # Unicode's control and format characters, such as a space of no width
CR_ALONE = "lines end with CR alone, as on old Macs, expected LF or CRLF"


class Row(NamedTuple):
    """`texts`: one or two sentences; `label`: class id, value, or None where the file has no labels."""

    texts: tuple[str, ...]
    label: int | float | None


class _BadRow(Exception):
    """`reason` is counted, `message` is shown; `to_drop`: whether the task's entry says to drop such rows."""

    def __init__(self, reason: str, message: str, to_drop: bool = False) -> None:
        self.reason, self.message, self.to_drop = reason, message, to_drop


class _Columns(NamedTuple):
    """Positions, from 0, in a row of `count` fields."""

    text: tuple[int, ...]
    label: int | None
    count: int


def read_rows(
    path: str | Path, task: Task, layout: Layout, dropped: dict[str, int], skip_bad_rows: bool
) -> Iterator[Row]:
    """Yield the Rows of the file `path`, laid out as `layout`, for `task`, one at a time.

    Rows that the task's entry says to drop, and with `skip_bad_rows` all bad rows, are left out; `dropped` counts them
    by reason.

    Raises UserError `file:line: what, expected what` for a bad row, for a missing file, for one
    without rows, and for a header without the columns of `layout`.
    """
    with reading(path), _open(path) as file:
        hint = f"; {advice('--skip_bad_rows')} drops such rows"
        yield from _rows(file, path, task, layout, dropped, skip_bad_rows, hint=hint)


def read_texts(path: str | Path | None, task: Task) -> Iterator[Row]:
    """Yield the Rows to predict, one at a time, from the file `path` (None: from standard input). They have no labels.

    The first line is a header if it holds the names of the task's text columns; other columns are ignored. Without a
    header a row is its texts alone.

    Raises UserError `file:line: what, expected what` for a bad row, and for a missing file or one without rows.
    """
    names, where = task.text_names, path or "standard input"
    if not path and sys.stdin is None:
        raise UserError("standard input is closed, expected rows there, or --input FILE")
    with reading(where), _open(path) if path else contextlib.nullcontext(sys.stdin.buffer) as file:
        first = next(file, b"")
        layout = Layout(str(where), names, None, None)
        if has_cr_alone(first):
            raise UserError(f"{where}:1: {CR_ALONE}")
        found = first.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").rstrip("\r\n").split("\t")
        if not set(names) <= set(found):
            if {name.strip().lower() for name in names} & {name.strip().lower() for name in found}:
                raise UserError(
                    f"{where}:1: {cut(', '.join(found))} looks like a header, expected the exact names "
                    f"{' and '.join(names)}"
                )
            if len(found) > len(names):
                raise UserError(
                    f"{where}:1: {len(found)} columns, "
                    f"expected {' and '.join(names)} alone, or a header that names them"
                )
            layout = Layout(str(where), tuple(range(len(names))), None, len(names))
        yield from _rows(itertools.chain([first] if first else [], file), where, task, layout, {})


def read_every_row(path: str | Path, task: Task, layout: Layout) -> Iterator[Row]:
    """Yield the Rows, without labels, of a benchmark's test set: all of them, as each needs an answer.

    Missing fields are empty texts. `path`, `layout`: of the file. Raises UserError as read_rows does, but not for
    missing fields.
    """
    with reading(path), _open(path) as file:
        yield from _rows(file, path, task, layout, {}, every_row=True)


def _rows(
    lines: Iterable[bytes],
    where: str | Path,
    task: Task,
    layout: Layout,
    dropped: dict[str, int],
    skip_bad_rows: bool = False,
    every_row: bool = False,
    hint: str = "",
) -> Iterator[Row]:
    """Yield the Rows of `lines`. `hint`: what an error line says at its end if a row is bad."""
    columns, found = _numbered_columns(layout), False
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        try:
            if columns is None:
                columns = _read_header(line, layout)
                continue
            row = _read_row(line, task, columns, every_row)
        except _BadRow as bad:
            if columns is None:
                raise UserError(f"{where}:{number}: {bad.message}") from None
            if not (bad.to_drop or skip_bad_rows):
                raise UserError(f"{where}:{number}: {bad.message}{hint}") from None
            dropped[bad.reason] = dropped.get(bad.reason, 0) + 1
            continue
        found = True
        yield row
    if not found:
        raise UserError(f"{where}: no usable row, expected {'a header and ' * layout.header}at least one row")


def has_cr_alone(line: bytes) -> bool:
    """Whether the first line of a file is all of it, as its lines end with CR alone."""
    return not line.endswith(b"\n") and b"\r" in line.rstrip(b"\r")


def _open(path: str | Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, expected tab-separated rows") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, expected a file of tab-separated rows") from None


def _numbered_columns(layout: Layout) -> _Columns | None:
    """The columns of a file without a header, else None."""
    if layout.header or layout.columns is None:
        return None
    return _Columns(tuple(map(int, layout.text)), None if layout.label is None else int(layout.label), layout.columns)


def _split(line: bytes) -> list[str]:
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise _BadRow("not UTF-8", f"byte {error.start + 1} of the line is not UTF-8, expected UTF-8 text") from None


def _read_header(line: bytes, layout: Layout) -> _Columns:
    names = _split(line)
    if has_cr_alone(line):
        raise _BadRow("header", CR_ALONE)

    def find(wanted: str | int) -> int:
        if wanted not in names:
            raise _BadRow("header", f"no column '{wanted}' in the header, expected it among: {cut(', '.join(names))}")
        if names.count(str(wanted)) > 1:
            raise _BadRow("header", f"column '{wanted}' stands in the header twice, expected it once")
        return names.index(str(wanted))

    text = tuple(map(find, layout.text))
    return _Columns(text, None if layout.label is None else find(layout.label), len(names))


def _read_row(line: bytes, task: Task, columns: _Columns, every_row: bool) -> Row:
    fields = _split(line)
    if every_row:
        fields += [""] * (columns.count - len(fields))
        return Row(tuple(fields[column] for column in columns.text), None)
    if len(fields) != columns.count:
        raise _BadRow(
            "wrong number of columns",
            f"{len(fields)} column{'s' * (len(fields) != 1)}, expected {columns.count} separated by tabs",
            task.drop_incomplete,
        )
    label = None if columns.label is None else fields[columns.label].strip()
    if label in task.drop_labels:  # first, as such a row may also be empty
        raise _BadRow(f"label {label}", "a label to drop", to_drop=True)
    texts = tuple(fields[column] for column in columns.text)
    for column, text in zip(columns.text, texts):
        if all(sign.isspace() or unicodedata.category(sign) in UNSEEN for sign in text):
            raise _BadRow("empty text", f"column {column + 1} is empty, expected a sentence", task.drop_incomplete)
    return Row(texts, None if label is None else _read_label(label, task))


def _read_label(field: str, task: Task) -> int | float:
    try:
        return task.kind.parse(field, task.labels)
    except BadLabel as bad:
        reason, expected = bad.args
        raise _BadRow(reason, f"label '{field[:80]}', expected {expected}") from None

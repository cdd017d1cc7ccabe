"""Raw rows of tab-separated files, with file:line in every complaint.

No quoting: in GLUE's files a quote character is plain data. Rows end at a line feed and nowhere else
(other Unicode line separators stand inside sentences). A byte-order mark at the start is passed over.
"""

import contextlib
import itertools
import sys
from typing import NamedTuple

from data_utils.errors import UserError
from data_utils.task_kinds import BadLabel
from data_utils.tasks import Layout, Task


class Row(NamedTuple):
    """`texts`: one or two sentences; `label`: class id, value, or None where the file has no labels."""

    texts: tuple
    label: int | float | None


class _BadRow(Exception):
    """`reason` is counted, `message` shown; `dropped`: the task entry says to drop such rows."""

    def __init__(self, reason, message, dropped=False):
        self.reason, self.message, self.dropped = reason, message, dropped


class _Columns(NamedTuple):
    """Positions, from 0, in a row of `count` fields."""

    text: tuple
    label: int | None
    count: int


def read_rows(path, task, layout, dropped, skip_bad_rows=False):
    """Yield the Rows of the file `path`, laid out as `layout`, for `task`, one at a time.

    Rows that the task entry says to drop, and with `skip_bad_rows` all bad rows, are counted by
    reason in the dictionary `dropped` instead.

    Raises UserError `file:line: what, expected what` for a bad row, for a missing file, for one
    without rows, and for a header without the columns of `layout`.
    """
    with _open(path) as file:
        yield from _rows(file, path, task, layout, dropped, skip_bad_rows)


def read_texts(path, task):
    """Yield the Rows, without labels, that stand in the file `path` (None: on standard input) to be predicted, one at a time.

    The first line is a header if it has the names of the task's text columns; other columns are passed over. Without a
    header a row is its texts alone.

    Raises UserError `file:line: what, expected what` for a bad row, and for a missing file or one without rows.
    """
    names, where = task.text_names, path or "standard input"
    if not path and sys.stdin is None:
        raise UserError("standard input is closed, expected rows there, or --input FILE")
    with _open(path) if path else contextlib.nullcontext(sys.stdin.buffer) as file:
        first = list(itertools.islice(file, 1))
        found = [
            name
            for line in first
            for name in line.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n").split("\t")
        ]
        layout = Layout(where, names, None, None)
        if not set(names) <= set(found):
            if {name.strip().lower() for name in names} & {name.strip().lower() for name in found}:
                raise UserError(
                    f"{where}:1: {', '.join(found)} looks like a header, expected it to name {' and '.join(names)} just so"
                )
            if len(found) > len(names):
                raise UserError(
                    f"{where}:1: {len(found)} columns, expected {' and '.join(names)} alone, or a header that names them"
                )
            layout = Layout(where, tuple(range(len(names))), None, len(names))
        yield from _rows(itertools.chain(first, file), where, task, layout, {})


def read_every_row(path, task, layout):
    """Yield the Rows, without labels, of a benchmark's test set: every one, as each has to be answered; missing fields are empty texts.

    `path`, `layout`: of the file. Raises UserError as read_rows does, but for what a row lacks.
    """
    with _open(path) as file:
        yield from _rows(file, path, task, layout, {}, every_row=True)


def _rows(lines, where, task, layout, dropped, skip_bad_rows=False, every_row=False):
    columns = None if layout.header else _Columns(layout.text, layout.label, layout.columns)
    found = False
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            if columns is None:
                columns = _read_header(line, layout)
                continue
            row = _read_row(line, task, columns, every_row)
        except _BadRow as bad:
            if columns is None or not (bad.dropped or skip_bad_rows):
                raise UserError(f"{where}:{number}: {bad.message}") from None
            dropped[bad.reason] = dropped.get(bad.reason, 0) + 1
            continue
        found = True
        yield row
    if not found:
        raise UserError(f"{where}: no usable row, expected {'a header and ' if layout.header else ''}at least one row")


def _open(path):
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, expected tab-separated rows") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, expected a file of tab-separated rows") from None


def _split(line):
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise _BadRow("not UTF-8", f"byte {error.start + 1} of the line is not UTF-8, expected UTF-8 text") from None


def _read_header(line, layout):
    names = _split(line)
    for wanted in (*layout.text, *([] if layout.label is None else [layout.label])):
        if wanted not in names:
            raise _BadRow("header", f"no column '{wanted}' in the header, expected it among: {', '.join(names)}")
        if names.count(wanted) > 1:
            raise _BadRow("header", f"column '{wanted}' stands in the header twice, expected it once")
    label = None if layout.label is None else names.index(layout.label)
    return _Columns(tuple(map(names.index, layout.text)), label, len(names))


def _read_row(line, task, columns, every_row):
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
    texts = tuple(fields[column] for column in columns.text)
    for column, text in zip(columns.text, texts):
        if not text.strip():
            raise _BadRow("empty text", f"column {column + 1} is empty, expected a sentence", task.drop_incomplete)
    return Row(texts, None if columns.label is None else _read_label(fields[columns.label].strip(), task))


def _read_label(field: str, task: Task) -> int | float:
    if field in task.drop_labels:
        raise _BadRow(f"label {field}", "a label to drop", dropped=True)
    try:
        return task.kind.parse(field, task.labels)
    except BadLabel as bad:
        reason, expected = bad.args
        raise _BadRow(reason, f"label '{field[:80]}', expected {expected}") from None

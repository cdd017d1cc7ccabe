"""A task is a YAML entry: its files, columns, labels, metrics and head dropout.

`experiments/glue/glue_task_def.yml` explains every key. Nothing else in the code knows a task by name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_utils.advice import advice
from data_utils.check import (
    ANYTHING,
    BOOLEAN,
    NULL,
    TEXT,
    Expectation,
    both,
    check,
    either,
    fields,
    fits,
    integer,
    is_number,
    list_of,
    mapping_of,
    one_of,
    value_that,
)
from data_utils.errors import UserError
from data_utils.task_kinds import LABEL, TASK_KINDS, TaskKind
from data_utils.yaml_file import read_yaml

NAME = value_that(
    "a name of lower-case letters, digits and _",
    lambda name: isinstance(name, str) and re.fullmatch(r"[a-z0-9_]+", name) is not None,
)
SPLIT_NAME = value_that(
    "train, dev, <variant>_dev, test or <variant>_test, of lower-case letters, digits and _",
    lambda name: isinstance(name, str) and re.fullmatch(r"train|([a-z0-9_]+_)?(dev|test)", name) is not None,
)
FILE_NAME = value_that("a file name", lambda name: isinstance(name, str) and name != "")
SPLIT = fields(
    {"file": FILE_NAME},
    optional=dict.fromkeys(("text", "label", "columns"), ANYTHING),
    expected="a file name, or `file` and some of text, label, columns",
)
TEXT_COLUMNS = both(
    list_of(
        either(TEXT, integer(0), expected="a column by name, or by number from 0"),
        distinct=True,
        expected="a list of one or two columns",
    ),
    value_that(
        "one or two columns, all by name or all by number from 0",
        lambda columns: (
            len(columns) in (1, 2) and any(all(fits(one, c) for c in columns) for one in (TEXT, integer(0)))
        ),
    ),
)


@dataclass(frozen=True)
class Layout:
    """Where one raw file keeps its texts and its label.

    `text` and `label` are column names (the file's first row is a header) or column numbers from 0
    (no header; then `columns` is how many every row has). `label` is None where the file has none.
    """

    file: str
    text: tuple[str, ...] | tuple[int, ...]
    label: str | int | None
    columns: int | None

    @property
    def header(self) -> bool:
        """Whether the file's first row names its columns."""
        return isinstance(self.text[0], str)


@dataclass(frozen=True)
class Task:
    """One entry of a task file; `labels`: the names of classes in the order of their ids, none for a regression;
    `metrics`: some of the kind's, by name; `drop_labels`, `drop_incomplete`: raw rows to leave out."""

    name: str
    kind: TaskKind
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    head_dropout: float
    drop_labels: tuple[str, ...]
    drop_incomplete: bool
    splits: dict[str, Layout]

    @property
    def n_outputs(self) -> int:
        """Width of the task's head."""
        return len(self.kind.output_names(self.labels))

    @property
    def text_names(self) -> tuple[str, ...]:
        """The names of its text columns: those of the first split whose file has a header, or else ones of ours."""
        named = [tuple(map(str, layout.text)) for layout in self.splits.values() if layout.header]
        return named[0] if named else {1: ("sentence",), 2: ("sentence1", "sentence2")}[len(self.splits["train"].text)]

    @property
    def dev_sets(self) -> dict[str, str]:
        """{name: split} of the task's dev sets.

        {mrpc: dev}, or {mnli_matched: matched_dev, mnli_mismatched: mismatched_dev}.
        """
        return {
            split_folder_name(self.name, split).removesuffix("_dev"): split for split in self.splits if _is_dev(split)
        }


def split_folder_name(task: str, split: str) -> str:
    """Return the name of a split's folder: mnli_matched_dev."""
    return f"{task}_{split}"


def _is_dev(split: str) -> bool:
    return split == "dev" or split.endswith("_dev")


def read_tasks(path: str | Path) -> dict[str, Task]:
    """Read a task file. Return {name: Task}.

    Raises UserError, naming file, task and key, for anything that is not as documented there.
    """
    entries = read_yaml(path, "`name: {kind: ..., splits: ...}`")
    tasks = {name: read_task(path, name, entry) for name, entry in entries.items()}
    taken: dict[str, str] = {}
    for task in tasks.values():
        for split in task.splits:
            where, name = f"{task.name}.splits.{split}", split_folder_name(task.name, split)
            if name in taken:
                raise UserError(
                    f"{path}: {where}: its folder would be {name}, expected another than that of {taken[name]}"
                )
            taken[name] = where
    return tasks


def select_tasks(tasks: dict[str, Task], names: Iterable[str], path: str | Path) -> list[Task]:
    """Return [Task] for `names` in their order; raise UserError for a name that is not in the file `path`."""
    for name in names:
        if name not in tasks:
            raise UserError(
                f"{path}: no task '{name}', expected one of: {', '.join(tasks)}; or take another {advice('--task_def')}"
            )
    return [tasks[name] for name in names]


def read_task(path: str | Path, name: str, entry: dict[str, Any], key: str = "") -> Task:
    """Return the Task that `entry` of the file `path` describes; `key`: where it stands there (`name` if left out).

    `entry` is as the file has it, and is checked here. Raises UserError, naming file and key, if it is not as
    documented.
    """
    key = key or name
    check(NAME, name, path, key)
    check(_expected_entry(), entry, path, key)
    kind, labels = TASK_KINDS[entry["kind"]], entry.get("labels") or []
    check(kind.expected_labels, labels, path, f"{key}.labels")
    labels = tuple(map(str, labels))
    check(kind.expected_metrics(labels), entry["metrics"], path, f"{key}.metrics")
    splits = {
        split: _read_layout(path, f"{key}.splits.{split}", entry, of_split)
        for split, of_split in entry["splits"].items()
    }
    texts = len(splits["train"].text)
    for split, layout in splits.items():
        if len(layout.text) != texts:
            raise UserError(
                f"{path}: {key}.splits.{split}.text: {len(layout.text)} columns, expected {texts}, as in train"
            )
    return Task(
        name=name,
        kind=kind,
        labels=labels,
        metrics=tuple(entry["metrics"]),
        head_dropout=float(entry.get("head_dropout", 0.1)),
        drop_labels=tuple(map(str, entry.get("drop_labels") or [])),
        drop_incomplete=entry.get("drop_incomplete", False),
        splits=splits,
    )


def _expected_entry() -> Expectation:
    """What an entry should hold, but for what depends on its kind; see also _read_layout."""
    return fields(
        {
            "kind": one_of(*TASK_KINDS),
            "metrics": list_of(ANYTHING, expected="a list of metrics"),
            "splits": both(
                mapping_of(ANYTHING, name=SPLIT_NAME, expected="`train: FILE` and more"),
                value_that("`train: FILE` and more", lambda splits: "train" in splits),
            ),
        },
        optional={
            "labels": ANYTHING,
            "head_dropout": value_that("a number from 0 to below 1", lambda value: is_number(value) and 0 <= value < 1),
            "drop_labels": either(NULL, list_of(either(LABEL, one_of(""))), expected="a list of labels"),
            "drop_incomplete": BOOLEAN,
            **dict.fromkeys(("text", "label", "columns"), ANYTHING),
        },
    )


def _read_layout(path: str | Path, key: str, entry: dict[str, Any], of_split: str | dict[str, Any]) -> Layout:
    """Return the Layout of the split at `key` of a task's `entry`.

    `of_split`: what stands there: a file name, or a mapping whose keys overrule the task's.

    (Test files often have other columns than training files.)
    """
    of_split = {"file": of_split} if isinstance(of_split, str) else of_split
    check(SPLIT, of_split, path, key)
    layout: dict[str, Any] = {"text": None, "label": None, "columns": None, **entry, **of_split}
    text, label, columns = layout["text"], layout["label"], layout["columns"]
    check(TEXT_COLUMNS, text, path, f"{key}.text")
    split = key.rpartition(".")[2]
    if label is None and (split == "train" or _is_dev(split)):
        raise UserError(f"{path}: {key}.label: none, expected the column of the labels")
    if label in text:
        raise UserError(f"{path}: {key}.label: {label!r}, expected another column than those of text")
    if isinstance(text[0], str):
        check(either(NULL, TEXT, expected="a column by name, as in text"), label, path, f"{key}.label")
        return Layout(of_split["file"], tuple(text), label, None)
    by_number = either(NULL, integer(0), expected="a column by number from 0, as in text")
    check(by_number, label, path, f"{key}.label")
    highest = max(text if label is None else [*text, label])
    check(integer(highest + 1, name="the number of columns in every row,"), columns, path, f"{key}.columns")
    return Layout(of_split["file"], tuple(text), label, columns)

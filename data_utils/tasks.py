"""A task is a YAML entry: its files, columns, labels, metrics and head dropout.

`experiments/glue/glue_task_def.yml` explains every key. Nothing else in the code knows a task by name.
"""

import re
from dataclasses import dataclass

from data_utils.errors import UserError
from data_utils.metrics import METRICS
from data_utils.yaml_file import read_yaml

KEYS = {
    "kind",
    "labels",
    "metrics",
    "head_dropout",
    "text",
    "label",
    "columns",
    "drop_labels",
    "drop_incomplete",
    "splits",
}


@dataclass(frozen=True)
class Layout:
    """Where one raw file keeps its texts and its label.

    `text` and `label` are column names (the file's first row is a header) or column numbers from 0
    (no header; then `columns` is how many every row has). `label` is None where the file has none.
    """

    file: str
    text: tuple
    label: str | int | None
    columns: int | None

    @property
    def header(self):
        return isinstance(self.text[0], str)


@dataclass(frozen=True)
class Task:
    """One entry of a task file; `labels` is empty for regression, `splits` maps names to layouts."""

    name: str
    kind: str
    labels: tuple
    metrics: tuple
    head_dropout: float
    drop_labels: tuple
    drop_incomplete: bool
    splits: dict

    @property
    def n_outputs(self):
        """Width of the task head: one logit per class, one value for regression."""
        return len(self.labels) or 1

    @property
    def text_names(self):
        """The names of its text columns: the first that a split's header has, or else ones of ours."""
        named = [layout.text for layout in self.splits.values() if layout.header]
        return named[0] if named else {1: ("sentence",), 2: ("sentence1", "sentence2")}[len(self.splits["train"].text)]

    @property
    def dev_sets(self):
        """{name: split} of the task's dev sets: {mrpc: dev}, or {mnli_matched: matched_dev, mnli_mismatched: mismatched_dev}."""
        return {split_name(self.name, split).removesuffix("_dev"): split for split in self.splits if _is_dev(split)}


def split_name(task: str, split: str) -> str:
    """The name of a split among those of all tasks, as that of its folder: mnli_matched_dev."""
    return f"{task}_{split}"


def _is_dev(split):
    return split == "dev" or split.endswith("_dev")


def read_tasks(path):
    """Read a task file. Return {name: Task}.

    Raises UserError, naming file, task and key, for anything that is not as documented there.
    """
    entries = read_yaml(path, "`name: {kind: ..., splits: ...}`")
    tasks = {name: read_task(f"{path}: {name}", name, entry) for name, entry in entries.items()}
    taken: dict[str, str] = {}
    for task in tasks.values():
        for split in task.splits:
            where, name = f"{task.name}.splits.{split}", split_name(task.name, split)
            if name in taken:
                raise UserError(
                    f"{path}: {where}: its folder would be {name}, expected another than that of {taken[name]}"
                )
            taken[name] = where
    return tasks


def select_tasks(tasks, names, path):
    """Return [Task] for `names` in their order; raise UserError for a name that is not in the file `path`."""
    for name in names:
        if name not in tasks:
            raise UserError(f"{path}: no task '{name}', expected one of: {', '.join(tasks)}")
    return [tasks[name] for name in names]


def read_task(where, name, entry):
    """Return the Task that `entry` (a dictionary) describes; raise UserError, naming `where` and the key, if it is not as documented."""

    def want(condition, key, expected):
        if not condition:
            raise UserError(f"{where}.{key}: {entry.get(key)!r}, expected {expected}")

    if not (isinstance(name, str) and re.fullmatch(r"[a-z0-9_]+", name)):
        raise UserError(f"{where}: a task's name is lower-case letters, digits and _")
    if not isinstance(entry, dict):
        raise UserError(f"{where}: {entry!r}, expected keys {', '.join(sorted(KEYS))}")
    if unknown := set(entry) - KEYS:
        raise UserError(
            f"{where}.{sorted(map(str, unknown))[0]}: unknown key, expected some of: {', '.join(sorted(KEYS))}"
        )

    kind, labels, metrics = entry.get("kind"), entry.get("labels") or [], entry.get("metrics") or []
    want(isinstance(kind, str) and kind in METRICS, "kind", f"one of {', '.join(METRICS)}")
    want(
        isinstance(labels, list) and all(type(label) in (str, int) for label in labels),
        "labels",
        "a list of the labels as the files write them (quote words like yes and no)",
    )
    labels = tuple(str(label) for label in labels)
    if kind == "classification":
        want(len(set(labels)) == len(labels) >= 2, "labels", "two or more different labels")
    else:
        want(not labels, "labels", "no labels for a regression")
    want(
        isinstance(metrics, list)
        and metrics
        and all(isinstance(metric, str) and metric in METRICS[kind] for metric in metrics),
        "metrics",
        f"for a {kind} a list of some of: {', '.join(METRICS[kind])}",
    )
    want("f1" not in metrics or len(labels) == 2, "metrics", "f1 for two labels only (the second counts as positive)")
    dropout = entry.get("head_dropout", 0.1)
    want(type(dropout) in (int, float) and 0 <= dropout < 1, "head_dropout", "a number from 0 to below 1")
    drop_labels = entry.get("drop_labels") or []
    want(isinstance(drop_labels, list), "drop_labels", "a list of labels")
    want(type(entry.get("drop_incomplete", False)) is bool, "drop_incomplete", "true or false")
    splits = entry.get("splits")
    want(isinstance(splits, dict) and "train" in splits, "splits", "`train: FILE` and more")
    want(
        all(isinstance(split, str) and re.fullmatch(r"[a-z0-9_]+", split) for split in splits),
        "splits",
        "names of lower-case letters, digits and _",
    )
    return Task(
        name,
        kind,
        labels,
        tuple(metrics),
        float(dropout),
        tuple(map(str, drop_labels)),
        entry.get("drop_incomplete", False),
        {split: _read_layout(f"{where}.splits.{split}", entry, own) for split, own in splits.items()},
    )


def _read_layout(where, entry, own):
    """A split is a file name, or a mapping whose keys overrule the task's (test files often have other columns)."""
    own = {"file": own} if isinstance(own, str) else own
    if (
        not isinstance(own, dict)
        or not isinstance(own.get("file"), str)
        or set(own) - {"file", "text", "label", "columns"}
    ):
        raise UserError(f"{where}: {own!r}, expected a file name, or `file` and some of text, label, columns")
    text, label, columns = (own.get(key, entry.get(key)) for key in ("text", "label", "columns"))
    if not (
        isinstance(text, list)
        and len(text) in (1, 2)
        and {type(column) for column in text} in ({str}, {int})
        and all(isinstance(column, str) or column >= 0 for column in text)
    ):
        raise UserError(f"{where}.text: {text!r}, expected one or two columns, all by name or all by number from 0")
    split = where.rpartition(".")[2]
    if label is None and (split == "train" or _is_dev(split)):
        raise UserError(f"{where}.label: none, expected the column of the labels")
    if label is not None and (type(label) is not type(text[0]) or (isinstance(label, int) and label < 0)):
        raise UserError(
            f"{where}.label: {label!r}, expected a column by {'name' if isinstance(text[0], str) else 'number from 0'} as in text"
        )
    if isinstance(text[0], int):
        highest = max(text + ([] if label is None else [label]))
        if type(columns) is not int or columns <= highest:
            raise UserError(
                f"{where}.columns: {columns!r}, expected how many columns a row has (the file has no header)"
            )
    return Layout(own["file"], tuple(text), label, columns if isinstance(text[0], int) else None)

"""What a saved model says of its tasks, so that it can be used where their data and entries are not.

<model>/tasks.json    {"format": "tickets", "max_seq_len": 512, "precision": "float32", "tasks": {"rte": {"kind": "classification",
                      "labels": ["not_entailment", "entailment"], "metrics": ["accuracy"], "text": ["sentence1", "sentence2"]}}}
"""

from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import UserError
from data_utils.json_file import read_json, write_json
from data_utils.tasks import read_task

FORMATS = {  # what lies beside tasks.json
    "tickets": "an encoder and task heads of ours, with their tickets in mask.json",
    "dense": "a classifier of the library",
    "onnx": "model.onnx",
}
PRECISIONS = "float32", "bfloat16"


@dataclass(frozen=True)
class SavedTasks:
    """`format`: of FORMATS; `tasks`: {name: Task}; `max_seq_len`: tokens of a row at the most; `precision`: in which the
    model was trained and evaluated, "float32" or "bfloat16" (see mt_dnn/runtime/machine.py)."""

    format: str
    tasks: dict
    max_seq_len: int
    precision: str = "float32"

    def write(self, folder):
        """Write it beside the model in `folder`."""
        entries = {
            task.name: {
                "kind": task.kind,
                "labels": list(task.labels),
                "metrics": list(task.metrics),
                "head_dropout": task.head_dropout,
                "text": list(task.text_names),
            }
            for task in self.tasks.values()
        }
        write_json(
            _path(folder),
            {
                "format": self.format,
                "max_seq_len": self.max_seq_len,
                "precision": self.precision,
                "tasks": entries,
            },
        )


def _path(folder):
    return Path(folder) / "tasks.json"


def has_saved_tasks(folder):
    """Whether `folder` has a model that says of its tasks."""
    return _path(folder).is_file()


def read_saved_tasks(folder):
    """Return the SavedTasks of the model in `folder`; raise UserError, naming file and key, if they are missing or not as written here."""
    path = _path(folder)
    content = read_json(path, "the tasks of a saved model")
    entries = content.get("tasks")
    for key, right, expected in (
        ("format", content.get("format") in list(FORMATS), f"one of {', '.join(FORMATS)}"),
        ("max_seq_len", type(content.get("max_seq_len")) is int and content["max_seq_len"] > 2, "a number of tokens"),
        ("precision", content.get("precision", "float32") in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
        (
            "tasks",
            isinstance(entries, dict) and entries and all(isinstance(entry, dict) for entry in entries.values()),
            "an entry by task name",
        ),
    ):
        if not right:
            raise UserError(f"{path}: {key}: {content.get(key)!r}, expected {expected}")
    files = {"label": "label", "splits": {"train": "train.tsv"}}  # it has none any more
    tasks = {name: read_task(f"{path}: tasks.{name}", name, {**entry, **files}) for name, entry in entries.items()}
    return SavedTasks(content["format"], tasks, content["max_seq_len"], content.get("precision", "float32"))

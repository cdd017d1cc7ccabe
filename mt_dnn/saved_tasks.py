"""The tasks of a saved model, kept beside it, so that it can be used without their data and task file.

<model>/tasks.json    {"format": "tickets", "precision": "float32", "tasks": {"rte": {
                        "kind": "classification", "labels": ["not_entailment", "entailment"],
                        "metrics": ["accuracy"], "head_dropout": 0.1, "text": ["sentence1", "sentence2"],
                        "max_seq_len": 512}},
                       "trained_on": [{"task": "rte", "training_rows": "<fingerprint>", "holdout": 0.0}]}
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from data_utils.check import TEXT, check, fields, integer, list_of, mapping_of, number, one_of, value_that
from data_utils.json_file import read_json, write_json
from data_utils.tasks import Task, read_task

# What lies beside tasks.json: an encoder and task heads of ours, with their tickets in mask.json; a classifier of the
# library; model.onnx.
FORMATS = ("tickets", "zeroed", "onnx")
TOKENS = integer(3, name="a number of tokens")
TRAINED_ON = fields({"task": TEXT, "training_rows": TEXT, "holdout": number(0, 1)})
SAVED = fields(
    {
        "format": one_of(*FORMATS),
        "tasks": mapping_of(value_that("an entry", lambda entry: isinstance(entry, dict)), at_least=1),
    },
    optional={
        "precision": one_of("float32", "bfloat16"),
        "trained_on": list_of(TRAINED_ON, expected="a list of what it trained on"),
    },
)


@dataclass(frozen=True)
class TrainedOn:
    """Rows that a model has seen: the training rows of `task` with the fingerprint `training_rows` (as
    data_utils.tokenized.training_rows_fingerprint() has it), except for the part `holdout`."""

    task: str
    training_rows: str
    holdout: float


@dataclass(frozen=True)
class SavedTasks:
    """What tasks.json says.

    `format`: one of FORMATS; `tasks`: {name: Task}; `max_seq_len`: {name: the most tokens that a row may have};
    `precision`: "float32" or "bfloat16", in which the model was trained and evaluated; `trained_on`: what it trained
    on, after what the model that it started from trained on; None where the file does not say it.
    """

    format: str
    tasks: dict[str, Task]
    max_seq_len: dict[str, int]
    precision: str = "float32"
    trained_on: tuple[TrainedOn, ...] | None = None

    def write(self, folder: str | Path) -> None:
        """Write it beside the model in `folder`."""
        entries = {
            task.name: {
                "kind": task.kind.name,
                "labels": list(task.labels),
                "metrics": list(task.metrics),
                "head_dropout": task.head_dropout,
                "text": list(task.text_names),
                "max_seq_len": self.max_seq_len[task.name],
            }
            for task in self.tasks.values()
        }
        content = {"format": self.format, "precision": self.precision, "tasks": entries}
        if self.trained_on is not None:
            content["trained_on"] = [asdict(rows) for rows in self.trained_on]
        write_json(_path(folder), content)


def _path(folder: str | Path) -> Path:
    return Path(folder) / "tasks.json"


def has_saved_tasks(folder: str | Path) -> bool:
    """Whether a model with its tasks lies in `folder`."""
    return _path(folder).is_file()


def read_saved_tasks(folder: str | Path) -> SavedTasks:
    """Return the SavedTasks of the model in `folder`.

    Raises UserError, naming file and key, if they are missing or not as SavedTasks.write() writes them.
    """
    path = _path(folder)
    content = read_json(path, "the tasks of a saved model")
    check(SAVED, content, path)
    # read_task() wants a label column and a training file. A saved task has neither; these stand in for them.
    files = {"label": "\t", "splits": {"train": "train.tsv"}}
    tasks, max_seq_len = {}, {}
    for name, entry in content["tasks"].items():
        key, entry = f"tasks.{name}", {**entry, **files}
        check(fields({"max_seq_len": TOKENS}, others=True), entry, path, key)
        max_seq_len[name] = entry.pop("max_seq_len")
        tasks[name] = read_task(path, name, entry, key)
    trained_on = tuple(TrainedOn(**rows) for rows in content["trained_on"]) if "trained_on" in content else None
    return SavedTasks(content["format"], tasks, max_seq_len, content.get("precision", "float32"), trained_on)

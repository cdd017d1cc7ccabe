"""One run: a ticket for each task, and a seed, in a folder of its own.

Fine-tuning (train.py) and rewinding (rewind.py) are the same run: when the whole model is fine-tuned, the tickets close
nothing.
"""

import shutil
from dataclasses import asdict, dataclass, field
from typing import Any

from data_utils.advice import advice
from data_utils.errors import UserError
from data_utils.tasks import Task, read_tasks, select_tasks, split_folder_name
from data_utils.tokenized import data_fingerprints, training_rows_fingerprint
from mt_dnn.checksums import weights_fingerprint
from mt_dnn.flags.training import DataOptions, ModelOptions, OptimizationOptions
from mt_dnn.run_config import read_run_config, refuse_other_config
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.masks import describe_tickets, encoder_name
from mt_dnn.tickets.ticket import Ticket


@dataclass(frozen=True)
class Run:
    """What a run is to do.

    `files`: its folder.
    `kind`: of its tickets, or "dense".
    `tickets`: by task name.
    `options`: all else that decides the outcome, except the seed, from outcome_options().
    `keep_gates`, `exact_sharing`: see rewind.py's flags.
    `keep_model`: whether the trained model is saved.
    `criteria`: by task name, the criterion of importance that chose its ticket, or None.
    `tickets_of`: by task name, the task whose ticket it trains; a task that is left out trains its own.
    `mask_file`: the mask that its tickets come from, for the log.
    """

    files: RunFolder
    kind: str
    tickets: dict[str, Ticket]
    seed: int
    options: dict[str, Any]
    keep_gates: bool = False
    keep_model: bool = False
    exact_sharing: bool = False
    criteria: dict[str, str | None] = field(default_factory=dict)
    tickets_of: dict[str, str] = field(default_factory=dict)
    mask_file: str = ""

    def source_of(self, task: str) -> dict[str, str | None]:
        """Where the ticket of a task comes from: the criterion that chose it, and whose it is."""
        return {"criterion": self.criteria.get(task), "tickets_of": self.tickets_of.get(task, task)}

    @property
    def config(self) -> dict[str, Any]:
        """What the run's config.json holds."""
        return {
            **self.options,
            "seed": self.seed,
            "kind": self.kind,
            "keep_gates": self.keep_gates,
            "exact_sharing": self.exact_sharing,
            "criteria": {task: self.criteria.get(task) for task in self.tickets},
            "tickets_of": {task: self.tickets_of.get(task, task) for task in self.tickets},
            "tickets": describe_tickets(self.tickets),
        }

    def is_finished(self) -> bool:
        """Whether the run's result is there, and its model if it is to be kept.

        Raises UserError if the run was finished, or begun, with other options or other tickets.
        """
        made = self.files.result.exists()
        if made or self.files.checkpoints.exists():
            refuse_other_config(self.files.folder, read_run_config(self.files.config), self.config)
        return made and (self.files.model.exists() or not self.keep_model)

    def remove_checkpoints(self) -> None:
        """Remove what only an unfinished run needs."""
        shutil.rmtree(self.files.checkpoints, ignore_errors=True)


def outcome_options(data: DataOptions, model: ModelOptions, optimization: OptimizationOptions) -> dict[str, Any]:
    """Return the flags of the three groups as one dictionary, with names and fingerprints of what is at their paths."""
    tasks = tasks_and_dev_sets(data)
    fingerprints = {}
    for task, dev_sets in tasks:
        fingerprints |= data_fingerprints(data.data_dir, task, ["train", *dev_sets.values()])
    return {
        **asdict(data),
        **asdict(model),
        **asdict(optimization),
        "encoder": encoder_name(model.init_checkpoint),
        "encoder_weights": weights_fingerprint(model.init_checkpoint),
        "task_kinds": {task.name: task.kind.name for task, _ in tasks},
        "metrics": {task.name: list(task.metrics) for task, _ in tasks},
        "head_dropout": {task.name: task.head_dropout for task, _ in tasks},
        "data": fingerprints,
    }


def score_options(data: DataOptions, run_options: dict[str, Any], criterion: str, seed: int) -> dict[str, Any]:
    """Return the entries of importance.json that say what the scores of the one task of `data` are made from.

    `run_options`: from outcome_options().
    """
    (task,) = data.train_datasets
    train = split_folder_name(task, "train")
    return {
        "task": task,
        "criterion": criterion,
        "train_fraction": data.fraction_of(task),
        **{key: run_options[key] for key in ("holdout", "encoder", "encoder_weights")},
        "seed": seed,
        "training_rows": training_rows_fingerprint(data.data_dir, task),
        "data": {train: run_options["data"][train]},
    }


def tasks_and_dev_sets(data: DataOptions) -> list[tuple[Task, dict[str, str]]]:
    """Return [(Task, {dev set: its split})] for --train_datasets and --test_datasets.

    Every task is evaluated: on those of its dev sets that --test_datasets names, or on all if it is left out.

    Raises UserError for a name that is not in --task_def.
    """
    tasks = select_tasks(read_tasks(data.task_def), data.train_datasets, data.task_def)
    known = [name for task in tasks for name in task.dev_sets]
    for name in data.test_datasets or ():
        if name not in known:
            raise UserError(
                f"--test_datasets: no dev set '{name}' of {', '.join(data.train_datasets)}, "
                f"expected some of: {', '.join(known)}; change {advice('--test_datasets')}"
            )
    chosen = [
        (task, {name: split for name, split in task.dev_sets.items() if name in (data.test_datasets or known)})
        for task in tasks
    ]
    for task, dev_sets in chosen:
        if not task.dev_sets:
            raise UserError(f"{data.task_def}: {task.name}.splits: no dev split, expected `dev` to evaluate on")
        if not dev_sets:
            raise UserError(
                f"--test_datasets: none of {task.name}, expected at least one of: {', '.join(task.dev_sets)}; "
                f"change {advice('--test_datasets')}"
            )
    return chosen

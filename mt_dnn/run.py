"""One run: a ticket and a seed in a folder of its own. Fine-tuning the dense model (train.py) and
rewinding a ticket (rewind.py) are the same run; the dense model's ticket closes nothing."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.files import RunFolder, UserError, read_json
from data_utils.tasks import read_tasks, select_tasks
from data_utils.tokenized import data_fingerprints
from mt_dnn.config import refuse_other_config, to_dict
from mt_dnn.ticket import Ticket


@dataclass(frozen=True)
class Run:
    """`options`: all that decides the outcome but ticket and seed, from outcome_options()."""

    files: RunFolder
    kind: str
    ticket: Ticket
    seed: int
    options: dict
    keep_gates: bool = False
    keep_model: bool = False

    @property
    def config(self):
        """What the run's config.json holds."""
        ticket = {"heads": sorted(map(list, self.ticket.heads)), "ffns": sorted(self.ticket.ffns)}
        return {**self.options, "seed": self.seed, "kind": self.kind, "keep_gates": self.keep_gates, "ticket": ticket}

    def is_finished(self):
        """Whether the run's result is there, and its model where it is to be kept.

        Raises UserError if it was made with other options or another ticket.
        """
        if not self.files.result.exists():
            return False
        refuse_other_config(self.files.folder, read_json(self.files.config, "the options of a run"), self.config)
        return self.files.model.exists() or not self.keep_model


def outcome_options(data, model, optimization):
    """Return the flags of the three groups as one dictionary, with the names and fingerprints of what the paths among them lead to."""
    task, dev_splits = read_task(data)
    return {
        **to_dict(data, model, optimization), "encoder": Path(model.init_checkpoint).name, "head_dropout": task.head_dropout,
        "data": data_fingerprints(data.data_dir, task, ["train", *dev_splits.values()]),
    }


def read_task(data):
    """Return the Task to train on and {name: split} of the dev sets to evaluate on; raise UserError for one that is not in --task_def."""
    if len(data.train_datasets) != 1:
        raise UserError(f"--train_datasets {','.join(data.train_datasets)}: expected one task")
    (task,) = select_tasks(read_tasks(data.task_def), data.train_datasets, data.task_def)
    if not task.dev_sets:
        raise UserError(f"{data.task_def}: {task.name}.splits: no dev split, expected `dev` to evaluate on")
    names = data.test_datasets or list(task.dev_sets)
    for name in names:
        if name not in task.dev_sets:
            raise UserError(f"--test_datasets: no dev set '{name}' of {task.name}, expected some of: {', '.join(task.dev_sets)}")
    return task, {name: task.dev_sets[name] for name in names}

"""A model that a run or an export left on the disk: what its files say of it, read once."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import UserError
from data_utils.run_folder import RunFolder
from data_utils.saved_tasks import SavedTasks, has_saved_tasks, read_saved_tasks
from data_utils.tasks import Task
from mt_dnn.tickets.masks import Mask, read_mask, saved_mask


@dataclass(frozen=True)
class SavedModel:
    """`folder`: where it lies; `saved`: its format, its tasks and the longest row that it takes."""

    folder: Path
    saved: SavedTasks

    @property
    def format(self) -> str:
        """One of saved_tasks.FORMATS."""
        return self.saved.format

    @property
    def tasks(self) -> list[Task]:
        """Its tasks, one per head."""
        return list(self.saved.tasks.values())

    @property
    def max_seq_len(self) -> int:
        """How many tokens a row may have."""
        return self.saved.max_seq_len

    @property
    def precision(self) -> str:
        """What its encoder layers were trained and evaluated in: "float32" or "bfloat16"."""
        return self.saved.precision

    def mask(self) -> Mask:
        """Read the mask with its tickets; raise UserError if there is none that fits."""
        return read_mask(saved_mask(self.folder))

    def task(self, name: str | None) -> Task:
        """Return its task `name`, or its only one for None; raise UserError if that does not say which."""
        tasks = self.saved.tasks
        if name not in tasks and (name or len(tasks) > 1):
            wrong = f"no task {name!r}" if name else "several tasks"
            raise UserError(f"{self.folder}: {wrong}, expected --task to be one of: {', '.join(tasks)}")
        return tasks[name or next(iter(tasks))]


def find_saved_model(folder: str | Path) -> SavedModel:
    """Return the model in `folder`, a run with its model, or an export; raise UserError if there is none."""
    run = RunFolder(folder)
    for place in (Path(folder), run.model):
        if has_saved_tasks(place):
            return SavedModel(place, read_saved_tasks(place))
    if run.result.is_file():
        raise UserError(
            f"{folder}: a run without its model, expected one of train.py, or of rewind.py with --save_model "
            "(SAVE_MODEL=yes in the scripts), which does a finished run once more"
        )
    raise UserError(f"{folder}: no model with a tasks.json, expected the folder of a run, or an export of it")

"""A model that a run or an export left on the disk: what its files say of it, read once."""

from dataclasses import dataclass, field
from pathlib import Path

from data_utils.errors import UserError
from data_utils.tasks import Task
from mt_dnn.run_folder import RunFolder
from mt_dnn.saved_tasks import SavedTasks, has_saved_tasks, read_saved_tasks
from mt_dnn.tickets.masks import Mask, read_mask, saved_mask


@dataclass(frozen=True)
class SavedModel(SavedTasks):
    """What tasks.json says of the model in `folder`."""

    folder: Path = field(kw_only=True)

    def mask(self) -> Mask:
        """Read the mask with its tickets; raise UserError if there is none that fits."""
        return read_mask(saved_mask(self.folder))

    def task(self, name: str | None) -> Task:
        """Return its task `name`, or its only one for None; raise UserError if that does not say which."""
        tasks = self.tasks
        if name not in tasks and (name or len(tasks) > 1):
            wrong = f"no task {name!r}" if name else "several tasks"
            raise UserError(f"{self.folder}: {wrong}, expected --task to be one of: {', '.join(tasks)}")
        return tasks[name or next(iter(tasks))]


def find_saved_model(folder: str | Path) -> SavedModel:
    """Return the model in `folder`, a run with its model, or an export; raise UserError if there is none."""
    files = RunFolder(folder)
    for place in (Path(folder), files.model):
        if has_saved_tasks(place):
            return SavedModel(**vars(read_saved_tasks(place)), folder=place)
    if files.result.is_file():
        raise UserError(
            f"{folder}: a run without a model, expected a run of train.py, or of rewind.py --save_model "
            "(SAVE_MODEL=yes in the scripts), which repeats finished runs"
        )
    raise UserError(f"{folder}: no model with a tasks.json, expected the folder of a run, or an export of it")

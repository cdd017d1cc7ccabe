"""Did the weights that a run starts from train on rows that it is to hold out?"""

from collections.abc import Mapping
from pathlib import Path

from data_utils.advice import advice
from data_utils.errors import UserError
from mt_dnn.runtime.log import print_line
from mt_dnn.saved_tasks import TrainedOn, has_saved_tasks, read_saved_tasks


def rows_seen(init_checkpoint: str, training_rows: Mapping[str, str], holdout: float) -> tuple[TrainedOn, ...] | None:
    """Return which training rows a run's model will have seen at its end: those that the model in `init_checkpoint`
    has seen (pre-trained weights have seen none), then the run's own. None if that model does not say which.

    `training_rows`: {task: fingerprint} of the run, from data_utils.tokenized.training_rows_fingerprint(); `holdout`:
    the part of them that it holds out.

    Raises UserError if the model may have seen rows that are to be held out; prints a line if it does not say so.
    """
    own = tuple(TrainedOn(task, rows, holdout) for task, rows in training_rows.items())
    if not has_saved_tasks(init_checkpoint):
        return own
    where, before = Path(init_checkpoint) / "tasks.json", read_saved_tasks(init_checkpoint).trained_on
    if before is None:
        if holdout:
            print_line(
                f"{where}: does not say which rows the model trained on; they may be among those that --holdout "
                f"{holdout} holds out"
            )
        return None
    if holdout:
        _refuse_seen(before, where, training_rows, holdout)
    return before + own


def _refuse_seen(before: tuple[TrainedOn, ...], where: Path, training_rows: Mapping[str, str], holdout: float) -> None:
    """Raise UserError where the rows of `before` are those of a task, but fewer of them were held out, or where they
    are other rows of a task with the same name. (The rows of a smaller --holdout are among those of a larger one.)
    """
    for seen in before:
        same = seen.training_rows in training_rows.values()
        if same and seen.holdout < holdout:
            raise UserError(
                f"{where}: trained on {seen.task} with --holdout {seen.holdout}, so on rows that --holdout {holdout} "
                f"holds out; take another {advice('--init_checkpoint')}, or train that model with "
                f"{advice(f'--holdout {holdout}')}"
            )
        if not same and seen.task in training_rows:
            raise UserError(
                f"{where}: trained on other rows of {seen.task}, which may be among those that --holdout {holdout} "
                f"holds out; take another {advice('--init_checkpoint')} or another {advice('--data_dir')}"
            )

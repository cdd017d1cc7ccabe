"""Did the weights that a run starts from train on rows that it is to hold out?"""

from collections.abc import Mapping
from pathlib import Path

from data_utils.advice import advice
from data_utils.errors import UserError
from mt_dnn.runtime.log import print_line
from mt_dnn.saved_tasks import TrainedOn, has_saved_tasks, read_saved_tasks


def rows_seen_by(init_checkpoint: str, training_rows: Mapping[str, str], holdout: float) -> tuple[TrainedOn, ...]:
    """Return the training rows that the model in the folder `init_checkpoint` has seen; none for pre-trained weights.

    `training_rows`: {task: fingerprint}, from data_utils.tokenized.training_rows(), of the run; `holdout`: the part of
    them that it holds out. The rows of a smaller --holdout are among those of a larger one.

    Raises UserError if the model may have seen rows that are to be held out: it trained on the same rows and held out
    fewer of them, or on other rows of one of the tasks. If the model does not say what it trained on, prints a line.
    """
    if not has_saved_tasks(init_checkpoint):
        return ()
    saved, where = read_saved_tasks(init_checkpoint), Path(init_checkpoint) / "tasks.json"
    if holdout and saved.trained_on is None:
        print_line(
            f"{where}: does not say which rows the model trained on; they may be among those that --holdout {holdout} "
            "holds out"
        )
    for seen in saved.trained_on or ():
        same = seen.training_rows in training_rows.values()
        if holdout and same and seen.holdout < holdout:
            raise UserError(
                f"{where}: trained on {seen.task} with --holdout {seen.holdout}, so on rows that --holdout {holdout} "
                f"holds out; start from {advice('--init_checkpoint')} of before it, or train it with "
                f"{advice(f'--holdout {holdout}')}"
            )
        if holdout and not same and seen.task in training_rows:
            raise UserError(
                f"{where}: trained on other rows of {seen.task}, which may be among those that --holdout {holdout} "
                f"holds out; start from another {advice('--init_checkpoint')}, or take another {advice('--data_dir')}"
            )
    return saved.trained_on or ()

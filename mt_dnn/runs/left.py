"""What train.py still has to do in its folder."""

from typing import Any

from data_utils.errors import UserError
from mt_dnn.run_config import read_run_config, refuse_other_config
from mt_dnn.runs.run import Run


def what_is_left(run: Run, do_train: bool, made_from: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether to fine-tune, and whether to score. Where the scores are there, masks do not need the model.

    `made_from`: what the scores are made from, from score_options(); {} if nothing is to be scored.

    Raises UserError if the folder has a run of other options, or there is no fine-tuned model to score.
    """
    files = run.files
    train = do_train and not run.is_finished()
    if not made_from:
        return train, False
    scored = files.importance(made_from["criterion"]).exists()
    train = train and not (scored and files.result.exists())
    if files.result.exists():
        scored_with = {key: run.options[key] for key in ("encoder", "encoder_weights", "holdout", "train_fraction")}
        scored_with |= {"seed": run.seed, "data": made_from["data"]}
        refuse_other_config(files.folder, read_run_config(files.config), scored_with)
    score = train or not scored
    unfinished = files.config.exists() and not files.result.exists()
    if score and not train and (unfinished or not files.model.is_dir()):
        raise UserError(f"{files.folder}: no finished run, expected a fine-tuned model to score; add --do_train")
    return train, score

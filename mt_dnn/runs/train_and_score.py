"""Fine-tune a model and score its heads and FFNs, each of them only once: the steps of train.py."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from data_utils.errors import UserError
from mt_dnn.run_config import read_run_config, refuse_other_config
from mt_dnn.run_folder import RunFolder
from mt_dnn.runs.run import Run
from mt_dnn.runtime.distributed import on_main_process
from mt_dnn.runtime.log import print_line

if TYPE_CHECKING:
    from mt_dnn.runs.session import Session


def what_is_left(run: Run, do_train: bool, scored_with: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether to fine-tune, and whether to score. Where the scores are there, masks do not need the model.

    `scored_with`: what the scores are made from, from score_options(); {} if nothing is to be scored.

    Raises UserError if the folder has a run of other options (without `do_train`, only of those that its scores depend
    on: encoder, rows, seed), or there is no fine-tuned model to score.
    """
    files = run.files
    train = do_train and not run.is_finished()
    if not scored_with:
        return train, False
    finished, scored = files.result.exists(), files.importance(scored_with["criterion"]).exists()
    if finished:
        expected = {key: run.options[key] for key in ("encoder", "encoder_weights", "holdout", "train_fraction")}
        expected |= {"seed": run.seed, "data": scored_with["data"]}
        refuse_other_config(files.folder, read_run_config(files.config), expected)
    if train and not (finished and scored):
        return True, True
    if scored:
        return False, False
    if not files.model.is_dir() or (files.config.exists() and not finished):
        raise UserError(f"{files.folder}: no finished run, expected a fine-tuned model to score; add --do_train")
    return False, True


def train_and_score(
    run: Run, do_train: bool, scored_with: dict[str, Any], open_session: Callable[[], "Session"]
) -> None:
    """Do what_is_left(), or print that all was done before. `run` must be locked.

    `open_session`: opens the session, or returns the one that is open; not called if nothing is left.

    Raises the errors of what_is_left() and Session.do().
    """
    files = run.files
    train, score = on_main_process(lambda: what_is_left(run, do_train, scored_with))
    if train and files.result.exists():
        print_line(f"{files.folder}: finished without a model, to be repeated")
    if do_train and not train:
        on_main_process(run.remove_checkpoints)  # of a run that was killed after its result was written
    if train:
        on_main_process(lambda: _remove_scores(files))
    fine_tuned = open_session().do(run) if train else None
    if score:
        from mt_dnn.runs.scoring import score_model

        score_model(open_session(), files, fine_tuned, scored_with)
    if not train and not score:
        gone = "" if files.model.exists() else "; its model is gone (to train it anew, remove its scores)"
        print_line(f"{files.folder}: {'fine-tuned and scored' if scored_with else 'fine-tuned'} before{gone}")


def _remove_scores(files: RunFolder) -> None:
    """Remove the scores of a model that was there before, with their pictures and the masks that they chose.

    Masks stay if the run is finished: then only its model is gone, and the same training makes it again.
    """
    from mt_dnn.tickets.criteria import CRITERIA
    from mt_dnn.tickets.make_masks import remove_masks_by_scores

    if not files.result.exists():
        remove_masks_by_scores(files)

    for criterion in CRITERIA:
        for path in (files.importance(criterion), files.heat_map(criterion)):
            if path.exists():
                path.unlink()

"""Does a mask fit what is to be trained: the encoder, its weights, and the rows that are held out?"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_utils.advice import advice
from data_utils.errors import UserError
from mt_dnn.tickets.masks import SHAPE_KEYS, Mask


def refuse_unfit(
    masks: Mapping[Path, Mask],
    tickets_of: Mapping[str, str],
    encoder_weights: str | None,
    holdout: float,
    training_rows: Mapping[str, str],
) -> None:
    """Raise UserError if the tickets to train were chosen in another encoder, or by rows that are to be held out.

    `masks`: by the files that they were read from; `tickets_of`: {task to train: the task whose ticket it trains};
    `encoder_weights`: from weights_fingerprint(); `holdout`: the part of the training rows that is to be held out;
    `training_rows`: {task: fingerprint}, from data_utils.tokenized.training_rows_fingerprint().
    """
    for path, mask in masks.items():
        _refuse_other_weights(mask, path, encoder_weights, tickets_of.values())
        if holdout:
            _refuse_seen_rows(mask, path, holdout, training_rows, _own(tickets_of))


def ticket_warnings(
    masks: Mapping[Path, Mask], tickets_of: Mapping[str, str], holdout: float, train_fractions: Mapping[str, float]
) -> Iterator[str]:
    """Yield a line for each ticket that may have been chosen by rows that now are held out or do not train.

    `train_fractions`: {task: the part, 0 to 1, of its training rows that the runs train on}; the others: as in
    refuse_unfit(). A report shows such runs as if their tickets had known no other rows.
    """
    own = _own(tickets_of)
    for path, mask in masks.items():
        if holdout and unknown_holdout(mask, own):
            yield (
                f"{path}: does not say which rows were held out when its tickets were chosen; they may have seen rows "
                f"that --holdout {holdout} holds out"
            )
        for task in filter(mask.criterion_of, own):
            now = train_fractions[task]
            if (made := mask.provenance_of(task).get("train_fraction", now)) > now:
                yield (
                    f"{path}: tickets.{task}: its scores were made with {100 * made:g} % of the training rows; it now "
                    f"trains on {100 * now:g} %"
                )


def _own(tickets_of: Mapping[str, str]) -> list[str]:
    """The tasks that train a ticket of their own: only those tickets were chosen by rows of the same task."""
    return [task for task, other in tickets_of.items() if task == other]


def refuse_other_model(mask: Mask, path: Path, model: dict[str, Any]) -> None:
    """Raise UserError unless `mask` (read from `path`) was made for the encoder that `model` describes."""
    differing = [
        f"{key} {mask.model[key]}, the encoder has {model[key]}"
        for key in (*SHAPE_KEYS, "name")
        if mask.model[key] != model[key]
    ]
    if differing:
        raise UserError(
            f"{path}: made for another model: {'; '.join(differing)}; expected a mask for the encoder, "
            f"or another {advice('--init_checkpoint')}"
        )


def _refuse_other_weights(mask: Mask, path: Path, weights: str | None, tasks: Iterable[str]) -> None:
    """Raise UserError if tickets of `tasks` in `mask` (read from `path`) were chosen in an encoder with other weights.

    `weights`: from weights_fingerprint(), None where it is not known. Tickets that were drawn at random do not depend
    on weights.
    """
    for task in tasks:
        made = mask.provenance_of(task).get("encoder_weights", weights)
        if weights and mask.criterion_of(task) and made != weights:
            raise UserError(
                f"{path}: tickets.{task}: chosen in {mask.model['name']} with weights of the SHA-256 {made[:12]}..., "
                f"those of {advice('--init_checkpoint')} have {weights[:12]}...; take the encoder of the mask, or, if "
                "you want its tickets in another encoder, remove `encoder_weights` from it (and correct `model.name`)"
            )


def unknown_holdout(mask: Mask, tasks: Iterable[str]) -> bool:
    """Whether scores chose a ticket of `tasks`, and `mask` does not say which rows were held out then."""
    return any(mask.criterion_of(task) and "holdout" not in mask.provenance_of(task) for task in tasks)


def _refuse_seen_rows(
    mask: Mask, path: Path, holdout: float, training_rows: Mapping[str, str], tasks: Iterable[str]
) -> None:
    """Raise UserError if training rows that are to be held out helped to choose tickets of `tasks` in `mask`.

    The rows of a smaller --holdout are among those of a larger one. Which rows are held out depends on all rows, so if
    there were others, some that are held out now may have chosen the ticket.

    Tickets that were drawn at random, and those that close nothing, were not chosen. Masks that do not say which rows
    chose them pass: see unknown_holdout().
    """
    for task in filter(mask.criterion_of, tasks):
        made, rows = mask.provenance_of(task), training_rows[task]
        if (before := made.get("holdout", holdout)) < holdout:
            raise UserError(
                f"{path}: tickets.{task}: made with --holdout {before}, so rows that --holdout {holdout} holds out "
                f"helped to choose it; make the masks with {advice(f'--holdout {holdout}')}"
            )
        if made.get("training_rows", rows) != rows:
            raise UserError(
                f"{path}: tickets.{task}: chosen by other training rows, so rows that --holdout holds out may have "
                f"helped to choose it; make the masks anew, or take another {advice('--data_dir')}"
            )

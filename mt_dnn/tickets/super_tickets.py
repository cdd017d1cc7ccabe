"""Super tickets by task: how many heads and FFNs each closes, and their masks merged into one.

The numbers stand in YAML, as mt_dnn.reports writes them; null is a task without a super ticket:

    rte: {heads: 14, ffns: 1}
    sst: {heads: 28, ffns: 2, criterion: loss}     # chosen by another criterion of importance than the default one
    wnli: null
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data_utils.advice import advice
from data_utils.check import NULL, TEXT, check, either, fields, integer
from data_utils.errors import UserError
from data_utils.tasks import NAME
from data_utils.yaml_file import read_yaml
from mt_dnn.run_folder import DEFAULT_CRITERION, RunFolder, unless_default
from mt_dnn.tickets.masks import Mask, read_mask
from mt_dnn.tickets.ticket import average_counts, by_scores, remaining_weights

ENTRY = either(
    fields({"heads": integer(0), "ffns": integer(0)}, optional={"criterion": TEXT}),
    NULL,
    expected="{heads: ..., ffns: ...}, how many of each are closed, or null",
)


class SuperTicket(NamedTuple):
    """How many heads and FFNs a task's super ticket closes, and the criterion that chose it."""

    heads: int
    ffns: int
    criterion: str = DEFAULT_CRITERION


def read_super_tickets(paths: Iterable[str | Path]) -> dict[str, SuperTicket | None]:
    """Return {task name: SuperTicket} of the files `paths` together; None for a task that has none (null).

    Raises UserError for what is not as above, and for a task that appears twice.
    """
    found = {}
    for path in paths:
        for task, entry in read_yaml(path, "`task: {heads: ..., ffns: ...}`").items():
            check(NAME, task, str(path), task)
            check(ENTRY, entry, str(path), task)
            if task in found:
                raise UserError(f"{path}: {task} stands in an earlier file too, expected every task once")
            found[task] = SuperTicket(**entry) if entry else None
    return found


def merge_masks(checkpoints: Path, super_tickets: dict[str, SuperTicket], kind: str) -> Mask:
    """Return one mask with a ticket of `kind` for every task, which closes as many units as the task's super ticket.

    Each task's mask is taken from the task's folder in `checkpoints`, where train.py writes it. The merged mask
    keeps the provenance of each.

    Raises UserError where a mask is missing, is not what its place says (task, kind, numbers, criterion), or was made
    for another model, or with other rows held out, than the others.
    """
    masks, paths = {}, {}
    for task, wanted in super_tickets.items():
        kind_here = kind if wanted.heads or wanted.ffns else "dense"
        criterion = wanted.criterion if by_scores(kind_here) else None
        path = paths[task] = RunFolder(checkpoints / task).mask(kind_here, wanted.heads, wanted.ffns, criterion)
        if not path.is_file():
            by = f" {advice(f'--criterion {criterion}')}" if unless_default(criterion) else ""
            raise UserError(
                f"{path}: no such mask, expected that of {task}'s super ticket; "
                f"make it with scripts/prepare_mtdnn_*.sh, or with train.py --do_mask {advice('--sparsities')}{by}"
            )
        mask = masks[task] = read_mask(path)
        if task not in mask.tickets:
            raise UserError(f"{path}: tickets for {', '.join(mask.tickets)}, expected one for '{task}'")
        for what, is_there, expected in (
            ("kind", mask.kind, kind_here),
            ("heads and FFNs closed", mask.tickets[task].counts, (wanted.heads, wanted.ffns)),
            ("criterion", mask.criterion_of(task), criterion),
        ):
            if is_there != expected:
                raise UserError(f"{path}: {what}: {is_there}, expected {expected}, as its place says")
    _refuse_unlike_masks(masks, paths)
    return Mask(
        kind,
        next(iter(masks.values())).model,
        {task: mask.tickets[task] for task, mask in masks.items()},
        {task: {"mask": str(paths[task]), **mask.provenance_of(task)} for task, mask in masks.items()},
    )


def _refuse_unlike_masks(masks: dict[str, Mask], paths: dict[str, Path]) -> None:
    """Raise UserError unless all masks are of one model, and those that scores chose hold out the same rows."""
    (first, model), *others = ((task, mask.model) for task, mask in masks.items())
    for task, other in others:
        if differing := [f"{key} {other[key]} and {model[key]}" for key in model if other[key] != model[key]]:
            raise UserError(f"{paths[task]} and {paths[first]}: {'; '.join(differing)}; expected masks of one model")
    chosen = [task for task, mask in masks.items() if mask.criterion_of(task) and "holdout" in mask.provenance_of(task)]
    held_out = {task: masks[task].provenance_of(task)["holdout"] for task in chosen}
    for task in chosen:
        if held_out[task] != held_out[chosen[0]]:
            raise UserError(
                f"{paths[task]} and {paths[chosen[0]]}: made with --holdout {held_out[task]} and "
                f"{held_out[chosen[0]]}; expected the same {advice('--holdout')}, so that no ticket saw held-out rows"
            )


def weights_table(mask: Mask) -> str:
    """Return a table of the weights that every task of `mask` keeps, and of their average by two ways of counting."""
    remaining = {
        task: remaining_weights(ticket.counts, mask.shape, biases=False) for task, ticket in mask.tickets.items()
    }
    counts = average_counts(mask.tickets.values())
    rows = [(task, *ticket.counts, f"{100 * remaining[task]:.1f} %") for task, ticket in mask.tickets.items()]
    rows += [
        ("average", "", "", f"{100 * sum(remaining.values()) / len(remaining):.1f} %"),
        ("paper's", *counts, f"{100 * remaining_weights(counts, mask.shape, biases=False):.3f} %"),
    ]
    lines = [f"{name:10} {heads:>13} {ffns:>12} {weights:>18}" for name, heads, ffns, weights in rows]
    return "\n".join(
        [
            f"{'task':10} {'heads closed':>13} {'FFNs closed':>12} {'remaining weights':>18}",
            *lines,
            "average: the mean of the tasks' remaining weights",
            "paper's: the remaining weights at the mean numbers of heads and FFNs, rounded down",
        ]
    )

"""Super tickets by task: how many heads and FFNs each closes, and their masks merged into one.

The numbers stand in YAML, as mt_dnn.reports writes them:

    rte: {heads: 14, ffns: 1}
"""

from data_utils.errors import UserError
from data_utils.yaml_file import read_yaml
from mt_dnn.tickets.masks import Mask, read_mask
from mt_dnn.tickets.ticket import average_counts, remaining_weights, remaining_weights_at


def read_super_tickets(paths):
    """Return {task name: (heads, FFNs)} of the files `paths` together; None for a task that has no super ticket (null).

    Raises UserError for what is not as above, and for a task that stands there twice.
    """
    counts = {}
    for path in paths:
        for task, entry in read_yaml(path, "`task: {heads: ..., ffns: ...}`").items():
            if entry is not None and (
                not isinstance(entry, dict)
                or set(entry) != {"heads", "ffns"}
                or not all(type(n) is int and n >= 0 for n in entry.values())
            ):
                raise UserError(
                    f"{path}: {task}: {entry!r}, expected {{heads: ..., ffns: ...}}, how many of each are closed"
                )
            if task in counts:
                raise UserError(f"{path}: {task} stands in an earlier file too, expected every task once")
            counts[task] = (entry["heads"], entry["ffns"]) if entry else None
    return counts


def merge_masks(paths, kind):
    """Return the mask of `kind` with the ticket of every task, from {task name: file of its own mask}.

    Raises UserError for a mask that is missing, has no ticket for its task, or was made for another model than the
    others.
    """
    tickets, sources, model, first = {}, {}, None, None
    for task, path in paths.items():
        if not path.is_file():
            raise UserError(
                f"{path}: no such mask, expected that of {task}'s super ticket; make it with "
                "scripts/prepare_mtdnn_*.sh or train.py --do_mask --sparsities"
            )
        mask = read_mask(path)
        if task not in mask.tickets:
            raise UserError(f"{path}: tickets for {', '.join(mask.tickets)}, expected one for '{task}'")
        model, first = model or mask.model, first or path
        if differing := [f"{key} {mask.model[key]} and {model[key]}" for key in model if mask.model[key] != model[key]]:
            raise UserError(f"{path} and {first}: {'; '.join(differing)}; expected masks of one model")
        tickets[task] = mask.tickets[task]
        sources[task] = {"mask": str(path), **mask.provenance}
    return Mask(kind, model, tickets, sources)


def weights_table(mask: Mask) -> str:
    """Return a table of the weights that every task of `mask` keeps, and of their average by two ways of counting."""
    remaining = {task: remaining_weights(ticket, mask.shape) for task, ticket in mask.tickets.items()}
    counts = average_counts(mask.tickets.values())
    rows = [(task, *ticket.counts, f"{100 * remaining[task]:.1f} %") for task, ticket in mask.tickets.items()]
    rows += [
        ("average", "", "", f"{100 * sum(remaining.values()) / len(remaining):.1f} %"),
        ("paper's", *counts, f"{100 * remaining_weights_at(counts, mask.shape):.3f} %"),
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

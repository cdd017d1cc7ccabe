"""What winning tickets are: how much they overlap between tasks and between seeds, and what survives in each layer."""

from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy import stats

from data_utils.errors import UserError
from data_utils.files import find
from mt_dnn.tickets.masks import read_mask
from mt_dnn.tickets.scores import read_importance


@dataclass(frozen=True)
class Tickets:
    """The winning tickets of one encoder. `shape`: its Shape; `by_run`: {(task, seed): {(heads, FFNs closed): Ticket}}."""

    encoder: str
    shape: object
    by_run: dict

    @property
    def tasks(self):
        return list(dict.fromkeys(task for task, _ in self.by_run))

    @property
    def levels(self):
        """[(heads, FFNs closed)], ascending."""
        return sorted({level for tickets in self.by_run.values() for level in tickets})


def read_tickets(folders, levels):
    """Read the winning masks of single tasks below `folders`; return [Tickets], one per encoder.

    `levels`: {(heads, FFNs closed)} to keep; all where none of them is found.

    Raises UserError where a task and seed have two different masks at one level.
    """
    found, paths = {}, {}
    for path in (path for folder in folders for path in find(folder, "masks/winning/heads_*_ffns_*.json")):
        mask = read_mask(path)
        if len(mask.tickets) > 1:
            continue
        ((task, ticket),) = mask.tickets.items()
        encoder, run = (mask.model["name"], mask.shape), (task, str(mask.provenance.get("seed", "?")))
        other = paths.setdefault((encoder, run, ticket.counts), path)
        if found.setdefault(encoder, {}).setdefault(run, {}).setdefault(ticket.counts, ticket) != ticket:
            raise UserError(
                f"{other} and {path}: two tickets of {task} with seed {run[1]} that close other units, expected the same; report them apart"
            )
    return [_at(levels, Tickets(*encoder, dict(sorted(runs.items())))) for encoder, runs in found.items()]


def _at(levels, tickets):
    kept = set(tickets.levels) & levels or set(tickets.levels)
    return replace(
        tickets, by_run={run: {level: own[level] for level in kept & set(own)} for run, own in tickets.by_run.items()}
    )


def jaccard(one, other):
    """Size of the intersection of two sets by that of their union; None where both are empty."""
    return len(one & other) / len(one | other) if one | other else None


def chance(units, one, other):
    """Expected Jaccard index of two independent, uniformly random sets of `one` and `other` out of `units`; None for two empty sets.

    k, what they share, is hypergeometric, so it is the sum over k of P(k) k / (one + other - k).
    """
    if one + other == 0:
        return None
    shared = np.arange(min(one, other) + 1)
    return float(np.sum(stats.hypergeom.pmf(shared, units, one, other) * shared / (one + other - shared)))


def overlaps(tickets, unit):
    """Return {pair in words: {level: mean Jaccard index}} of the closed `unit`s ("heads" or "ffns"), with a first row for chance.

    A pair of tasks takes every ticket of the one with every ticket of the other; the seeds of a task are taken two by two.
    Levels at which nothing is closed, or that one of a pair lacks, are left out.
    """
    runs = {task: [own for (name, _), own in tickets.by_run.items() if name == task] for task in tickets.tasks}
    pairs = {
        f"{one} and {other}": list(product(runs[one], runs[other])) for one, other in combinations(tickets.tasks, 2)
    }
    pairs |= {f"{task}, between seeds": list(combinations(own, 2)) for task, own in runs.items() if len(own) > 1}
    if not pairs:
        return {}
    size, at = (tickets.shape.layers * tickets.shape.heads, 0) if unit == "heads" else (tickets.shape.layers, 1)
    rows = {"chance": {level: chance(size, level[at], level[at]) for level in tickets.levels if level[at]}}
    for name, own in pairs.items():
        values = {
            level: [
                jaccard(getattr(one[level], unit), getattr(other[level], unit))
                for one, other in own
                if level in one and level in other
            ]
            for level in tickets.levels
            if level[at]
        }
        rows[name] = {level: float(np.mean(found)) for level, found in values.items() if found}
    return rows


def survivors(tickets, task):
    """Return (levels, open heads (layers, levels), open FFNs (layers, levels)) of a task's tickets, means over its seeds."""
    runs = [own for (name, _), own in tickets.by_run.items() if name == task]
    levels = [level for level in tickets.levels if any(level in own for own in runs)]

    def over_seeds(count):
        return np.array(
            [
                [np.mean([count(own[level], layer) for own in runs if level in own]) for level in levels]
                for layer in range(tickets.shape.layers)
            ]
        )

    return (
        levels,
        over_seeds(lambda ticket, layer: tickets.shape.heads - len(ticket.heads_of(layer))),
        over_seeds(lambda ticket, layer: layer not in ticket.ffns),
    )


def read_importances(folders):
    """Return {(task, seed): (normalised head scores (layers, heads), FFN scores (layers,))} of every importance.json below `folders`."""
    found = {}
    for path in (path for folder in folders for path in find(folder, "importance.json")):
        heads, ffns, _, content = read_importance(path)
        found.setdefault((str(content.get("task", "?")), str(content.get("seed", "?"))), (heads, ffns))
    return dict(sorted(found.items()))

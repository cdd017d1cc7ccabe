"""What winning tickets are: how much they overlap between tasks and between seeds, and what survives in each layer."""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy import stats

from mt_dnn.reports.points import Size, Transition
from mt_dnn.tickets.ticket import Ticket


@dataclass(frozen=True)
class Tickets:
    """The winning tickets of one encoder, which has `layers` layers of `heads` heads.

    `by_run`: {(title of the transition, seed): {(heads, FFNs closed): Ticket}}.
    """

    encoder: str
    layers: int
    heads: int
    by_run: dict[tuple[str, int], dict[Size, Ticket]]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for task, _ in self.by_run))

    def of_task(self, task: str) -> list[dict[Size, Ticket]]:
        """{(heads, FFNs closed): Ticket} of every seed of a task."""
        return [tickets for (name, _), tickets in self.by_run.items() if name == task]

    @property
    def sizes(self) -> list[Size]:
        """Sizes, ascending."""
        return sorted({size for tickets in self.by_run.values() for size in tickets})


def winning_tickets(transitions: Iterable[Transition]) -> list[Tickets]:
    """Return the winning tickets that were trained, as Tickets of every encoder.

    Seeds of a task that trained the same tickets, as `rewind.py --seeds 1 2` does, count as one.
    """
    found: dict[tuple[str, int, int], dict[tuple[str, int], dict[Size, Ticket]]] = {}
    for transition in transitions:
        by_seed: dict[int, dict[Size, Ticket]] = {}
        for point in transition.of_kind("winning"):
            for seed, run in point.runs.items():
                by_seed.setdefault(seed, {})[point.size] = run.ticket(transition.task)
        kept: dict[int, dict[Size, Ticket]] = {}
        for seed, tickets in sorted(by_seed.items()):
            if same := next((other for other in kept.values() if _agree(tickets, other)), None):
                same |= tickets
            else:
                kept[seed] = tickets
        if kept:
            model = transition.points[0].any_run.result["model"]
            runs = found.setdefault((model["name"], model["layers"], model["heads"]), {})
            runs |= {(transition.title, seed): tickets for seed, tickets in kept.items()}
    return [Tickets(*encoder, runs) for encoder, runs in found.items()]


def _agree(one: dict[Size, Ticket], other: dict[Size, Ticket]) -> bool:
    """Whether two seeds have the same ticket at each size that both have, and have one in common."""
    shared = one.keys() & other.keys()
    return bool(shared) and all(one[size] == other[size] for size in shared)


def jaccard(one: Set, other: Set) -> float:
    """Size of the intersection of two sets by that of their union; at least one of them is not empty."""
    return len(one & other) / len(one | other)


def chance(units: int, one: int, other: int) -> float:
    """Expected Jaccard index of two independent, uniformly random sets of `one` and `other` out of `units`.

    How many they share is hypergeometric. At least one of the sets is not empty.
    """
    return float(stats.hypergeom(units, one, other).expect(lambda shared: shared / (one + other - shared)))


def overlaps(tickets: Tickets, unit: str) -> dict[str, dict[Size, float]]:
    """Return {pair in words: {size: mean Jaccard index}} of the closed `unit`s ("heads" or "ffns"), chance first.

    A pair of tasks takes every ticket of the one with every ticket of the other; the seeds of a task are taken two by
    two. Sizes at which nothing is closed, or that one of a pair lacks, are left out.
    """
    runs = {task: tickets.of_task(task) for task in tickets.tasks}
    pairs = {
        f"{one} and {other}": list(product(runs[one], runs[other])) for one, other in combinations(tickets.tasks, 2)
    }
    pairs |= {f"{task}, between seeds": list(combinations(seeds, 2)) for task, seeds in runs.items() if len(seeds) > 1}
    if not pairs:
        return {}
    units, at = (tickets.layers * tickets.heads, 0) if unit == "heads" else (tickets.layers, 1)
    rows = {"chance": {size: chance(units, size[at], size[at]) for size in tickets.sizes if size[at]}}
    for name, both in pairs.items():
        values = {
            size: [
                jaccard(getattr(one[size], unit), getattr(other[size], unit))
                for one, other in both
                if size in one and size in other
            ]
            for size in tickets.sizes
            if size[at]
        }
        rows[name] = {size: float(np.mean(found)) for size, found in values.items() if found}
    return rows


def survivors(tickets: Tickets, task: str) -> tuple[list[Size], np.ndarray, np.ndarray]:
    """Return (sizes, open heads, open FFNs) of a task's tickets, both (layers, sizes), means over its seeds."""
    seeds = tickets.of_task(task)
    sizes = [size for size in tickets.sizes if any(size in of_seed for of_seed in seeds)]

    def over_seeds(count: Callable[[Ticket, int], float]) -> np.ndarray:
        return np.array(
            [
                [np.mean([count(of_seed[size], layer) for of_seed in seeds if size in of_seed]) for size in sizes]
                for layer in range(tickets.layers)
            ]
        )

    return (
        sizes,
        over_seeds(lambda ticket, layer: tickets.heads - len(ticket.heads_of(layer))),
        over_seeds(lambda ticket, layer: layer not in ticket.ffns),
    )

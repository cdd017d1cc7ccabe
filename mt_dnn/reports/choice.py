"""What the runs decide: each task's super ticket, by two protocols, and its phase boundary."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import yaml

from mt_dnn.reports.comparison import SeedScores, mean
from mt_dnn.reports.points import Point, Transition
from mt_dnn.reports.wording import mean_std
from mt_dnn.run_folder import unless_default

SAME = 9  # decimals of a mean in points; closer means are equal


@dataclass(frozen=True)
class Protocol:
    """How super tickets are chosen: `on` which rows, by which `scores` of a Point; `file`: where they are written."""

    on: str
    scores: Callable[[Point], SeedScores]
    file: str


DEV = Protocol("dev", lambda point: point.scores, "super_tickets.yml")
HELD_OUT = Protocol("held-out training rows", lambda point: point.held_out, "super_tickets_held_out.yml")


def candidates(transition: Transition, protocol: Protocol = DEV) -> list[Point]:
    """The points that may be the super ticket: the winning tickets and the dense model.

    There are none where no winning ticket was trained, or the dense model has no scores by which `protocol` chooses;
    nor where the dense model has not learnt the task: then its differences to tickets say nothing about tickets.
    """
    dense, winning = transition.of_kind("dense"), [*filter(protocol.scores, transition.of_kind("winning"))]
    return dense + winning if winning and transition.has_learnt and all(map(protocol.scores, dense)) else []


def unlike_seeds(transition: Transition) -> bool:
    """Whether the candidates' means are over different seeds, so that one lucky seed can make a super ticket."""
    return len({frozenset(point.runs) for point in candidates(transition)}) > 1


def best(points: Iterable[Point], scores: Callable[[Point], SeedScores] = DEV.scores) -> Point | None:
    """The Point with the best mean of `scores` over seeds, of equals the sparser one; None if there are no points."""
    return max(points, key=lambda point: (round(mean(scores(point)), SAME), -point.remaining), default=None)


def super_ticket(transition: Transition, protocol: Protocol) -> Point | None:
    """Return the best of the candidates; None where there are none, or no held-out rows to choose on.

    Choosing on dev is the paper's protocol: the dev score of the chosen ticket is the best of several, thus biased
    upwards. Chosen on held-out training rows, it is free of the luck of the dev rows, but not of that of the runs.
    """
    return best(candidates(transition, protocol), protocol.scores)


def boundary(transition: Transition) -> tuple[Point | None, list[Point]]:
    """Return the phase boundary and the winning tickets whose mean is below the dense model's.

    The boundary is the sparsest winning ticket whose mean is not below the dense model's. It is None where no
    transition was seen, as all winning tickets are below or none is, and where the dense model has not learnt the task.

    Raises ValueError without a dense model.
    """
    if not transition.dense:
        raise ValueError("no dense model to compare with")
    dense = round(mean(transition.dense.scores), SAME)
    winning = transition.of_kind("winning")
    below = [point for point in winning if round(mean(point.scores), SAME) < dense]
    others = [point for point in winning if point not in below] if below and transition.has_learnt else []
    return min(others, key=lambda point: point.remaining, default=None), below


def is_super_tickets_file(name: str) -> bool:
    """Whether super_tickets_files() gives a file such a name."""
    stems = "|".join(protocol.file.removesuffix(".yml") for protocol in (DEV, HELD_OUT))
    return bool(re.fullmatch(rf"({stems})(_train_fraction_[\d.e-]+)?\.yml", name))


def super_tickets_files(transitions: Iterable[Transition], protocol: Protocol) -> dict[str, str]:
    """Return {name of the file: text} with each task's heads and FFNs, for mt_dnn.tickets.super_tickets.

    It is one file, or none where no task has held-out rows to choose on. Where a task was trained on several parts of
    its rows, it is a file for each part, with the part in its name.
    """
    transitions = list(transitions)
    apart = len({transition.task for transition in transitions}) < len(transitions)
    parts: dict[str, list[str]] = {}
    for transition in transitions:
        if line := _line(transition, protocol):
            name = protocol.file.replace(".yml", f"_train_fraction_{transition.train_fraction:g}.yml")
            parts.setdefault(name if apart else protocol.file, []).append(line)
    head = [
        "# Heads and FFNs that each task's super ticket closes: of the winning tickets and the dense model the one",
        f"# with the best mean score on {protocol.on}, the sparser one of equals. A task has none (null) where the",
        "# dense model is not better than the most frequent label, or the mean.",
        "# For construct_mtl_mask.py --super_tickets.",
    ]
    return {name: "\n".join([*head, *lines]) + "\n" for name, lines in parts.items()}


def _line(transition: Transition, protocol: Protocol) -> str:
    """A task's entry; "" where there is nothing to choose, or no rows to choose on."""
    name = yaml.safe_dump({transition.task: None}).removesuffix(": null\n")  # in quotes, if it reads as another type
    if point := super_ticket(transition, protocol):
        criterion = unless_default(point.criterion)
        by = f", criterion: {criterion}" if criterion else ""
        entry = f"{{heads: {point.heads}, ffns: {point.ffns}{by}}}"
        seeds = len(protocol.scores(point))
        of = f"best of {len(candidates(transition, protocol))} candidates, {seeds} seed{'s' * (seeds > 1)}"
        of += " (others have other seeds)" if unlike_seeds(transition) else ""
        return f"{name}: {entry}   # {mean_std(protocol.scores(point))} with {point.weights_in_words}, {of}"
    if not transition.has_learnt and any(protocol.scores(point) for point in transition.of_kind("winning")):
        return f"{name}: null"
    return ""

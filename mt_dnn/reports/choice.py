"""What the runs decide: each task's super ticket, by two protocols, and its phase boundary."""

from collections.abc import Callable
from dataclasses import dataclass

from mt_dnn.reports.points import mean, show

SAME = 9  # decimals of a mean in points; closer means are equal


@dataclass(frozen=True)
class Protocol:
    """How super tickets are chosen: `on` which rows, by which `scores` of a Point, {seed: score}, and the `file` that they are written to."""

    on: str
    scores: Callable
    file: str


DEV = Protocol("dev", lambda point: point.scores, "super_tickets.yml")
HELD_OUT = Protocol("held-out training rows", lambda point: point.held_out, "super_tickets_held_out.yml")


def candidates(transition):
    """The points that may be the super ticket: the winning tickets and the dense model; none where no winning ticket was trained."""
    winning = transition.of_kind("winning")
    return transition.of_kind("dense") + winning if winning else []


def best(points, protocol=DEV):
    """The Point with the best mean over seeds, the sparser one of equals; None of none."""
    return max(points, key=lambda point: (round(mean(protocol.scores(point)), SAME), -point.remaining), default=None)


def super_ticket(transition, protocol):
    """Return the best of the candidates; None where there are none, or no held-out rows to choose on.

    Choosing on dev is the paper's protocol: the chosen ticket's dev score is the best of several, thus biased upwards. Chosen on
    held-out training rows, its dev score is unbiased.
    """
    return best([point for point in candidates(transition) if protocol.scores(point)], protocol)


def boundary(transition):
    """Return (sparsest winning ticket whose mean is not below the dense model's, or None; [winning tickets whose mean is below]).

    Raises ValueError without a dense model.
    """
    if not transition.dense:
        raise ValueError("no dense model to compare with")
    dense = round(mean(transition.dense.scores), SAME)
    winning = transition.of_kind("winning")
    below = [point for point in winning if round(mean(point.scores), SAME) < dense]
    return min(
        (point for point in winning if point not in below), key=lambda point: point.remaining, default=None
    ), below


def super_tickets_file(transitions, protocol):
    """Return the text of the file with each task's heads and FFNs, for mt_dnn.tickets.super_tickets; "" where no task has a super ticket by this protocol."""
    lines = []
    for transition in transitions:
        if point := super_ticket(transition, protocol):
            lines.append(
                f"{transition.task}: {{heads: {point.heads}, ffns: {point.ffns}}}   # {show(protocol.scores(point))} with {point.weights}, "
                f"best of {len(candidates(transition))} over {len(point.runs)} seeds"
            )
    head = [
        "# Heads and FFNs that the super ticket of each task closes: of the winning tickets and the dense model the one with the",
        f"# best mean score on {protocol.on}, the sparser one of equals. For construct_mtl_mask.py --super_tickets.",
    ]
    return "\n".join([*head, *lines]) + "\n" if lines else ""

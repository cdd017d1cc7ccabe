"""Tickets: which heads and FFNs of an encoder are closed; how many and which ones at a sparsity, by kind of ticket."""

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from data_utils.errors import UserError

NUMBER = re.compile(r"[0-9.]+(e-?[0-9]{1,2})?(/[0-9]+)?")  # Fraction() alone would take 1e-999999999, and never end
Scores = tuple[np.ndarray, np.ndarray]  # of heads, (layers, heads), and of FFNs, (layers,)


@dataclass(frozen=True)
class Ticket:
    """A ticket, given by the units that it closes (the paper's ticket is what stays).

    `heads`: set of (layer, head); `ffns`: set of layers. Both count from 0.
    """

    heads: frozenset[tuple[int, int]] = frozenset()
    ffns: frozenset[int] = frozenset()

    @property
    def counts(self) -> tuple[int, int]:
        """(heads closed, FFNs closed)."""
        return len(self.heads), len(self.ffns)

    def heads_of(self, layer: int) -> list[int]:
        """Closed heads of one layer, ascending."""
        return sorted(head for at, head in self.heads if at == layer)


DENSE = Ticket()


@dataclass(frozen=True)
class Shape:
    """Size of the encoder that tickets are taken from: layers, heads per layer, width of hidden states and of FFNs,
    parameters of the whole encoder (with embeddings and pooler, without task heads)."""

    layers: int
    heads: int
    hidden: int
    intermediate: int
    parameters: int


# ---- how many units are closed ----


def counts_at(sparsity: str | float, layers: int, heads: int, min_heads_per_layer: int = 1) -> tuple[int, int]:
    """Return how many heads and FFNs a sparsity closes: floor(p x layers x heads), floor(p x layers).

    `sparsity`: see parse_sparsity(). Every layer keeps `min_heads_per_layer` heads, so at the highest sparsities fewer
    heads are closed.
    """
    of_heads, of_ffns = parse_sparsity(sparsity)
    n_heads = math.floor(of_heads * layers * heads)
    return min(n_heads, layers * max(0, heads - min_heads_per_layer)), math.floor(of_ffns * layers)


def parse_sparsity(sparsity: str | float) -> tuple[Fraction, Fraction]:
    """Return the parts of the heads and of the FFNs to close: "0.3" for both, or two numbers as in "0.30:0.25".

    They are exact fractions, so that 0.3 x 10 is 3. Raises UserError unless these are one or two numbers from 0 to 1.
    """
    try:
        parts = [Fraction(part) for part in str(sparsity).split(":") if NUMBER.fullmatch(part)]
    except (ValueError, ZeroDivisionError):
        parts = []
    if len(parts) != str(sparsity).count(":") + 1 or len(parts) > 2 or not all(0 <= part <= 1 for part in parts):
        raise UserError(
            f"--sparsities: '{sparsity}', expected a number from 0 to 1, or two for heads and FFNs such as 0.30:0.25 "
            "(MASK_SPARSITIES and SPARSITIES in the scripts)"
        )
    return parts[0], parts[-1]


def remaining_weights(counts: tuple[int, int], shape: Shape, *, biases: bool) -> float:
    """Return the part of the encoder's parameters that remains, from 0 to 1, if a ticket closes (heads, FFNs).

    Without biases it is the formula that the paper's tables follow (docs/method.md#remaining-weights),
    1 - (2 I H n_ffns + 4 (H / heads) H n_heads) / parameters, with H = shape.hidden and I = shape.intermediate;
    with biases it is what a pruned encoder really has.
    """
    return 1 - removed_parameters(counts, shape, biases=biases) / shape.parameters


def removed_parameters(counts: tuple[int, int], shape: Shape, *, biases: bool) -> int:
    """Return how many parameters go when a ticket that closes (heads, FFNs) is taken out of an encoder.

    A head has its rows of query, key and value and its columns of the output projection: 4 x d x H weights
    (d = H / heads) and 3 x d biases. An FFN has 2 x I x H weights and I + H biases."""
    n_heads, n_ffns = counts
    head_size = shape.hidden // shape.heads
    per_head = 4 * head_size * shape.hidden + biases * 3 * head_size
    per_ffn = 2 * shape.intermediate * shape.hidden + biases * (shape.intermediate + shape.hidden)
    return n_heads * per_head + n_ffns * per_ffn


def average_counts(tickets: Collection[Ticket]) -> tuple[int, int]:
    """Return (heads, FFNs) closed on average over `tickets`, rounded down.

    The paper's average remaining weights are those of these counts: 15 heads and 1 FFN for BERT-base's super tickets,
    so 92.996 %, cut to 92.9 %; 85 heads and 4 FFNs for BERT-large's, so 83.339 %, cut to 83.3 %. The means of the
    tickets' own remaining weights are 92.3 % and 82.0 %.
    """
    n_heads, n_ffns = zip(*(ticket.counts for ticket in tickets))
    return sum(n_heads) // len(tickets), sum(n_ffns) // len(tickets)


# ---- which units are closed ----


def choose(
    head_scores: np.ndarray, ffn_scores: np.ndarray, n_heads: int, n_ffns: int, min_heads_per_layer: int = 1
) -> Ticket:
    """Return the Ticket that closes the `n_heads` heads and `n_ffns` FFNs with the lowest scores.

    `head_scores`: (layers, heads), comparable across layers; `ffn_scores`: (layers,). The `min_heads_per_layer` best
    heads of every layer stay open. Ties go by (layer, head), so the outcome is the same everywhere. Tickets of one
    ranking lie inside each other.

    Raises ValueError if more units are asked for than may be closed, or if a score is not finite.
    """
    head_scores, ffn_scores = np.asarray(head_scores, np.float64), np.asarray(ffn_scores, np.float64)
    if not (np.isfinite(head_scores).all() and np.isfinite(ffn_scores).all()):
        raise ValueError("scores that are not finite rank nothing")
    layers, heads = head_scores.shape
    may_go = np.argsort(head_scores, axis=1, kind="stable")[:, : max(0, heads - min_heads_per_layer)]
    ranking = sorted((head_scores[layer, head], layer, int(head)) for layer in range(layers) for head in may_go[layer])
    if not 0 <= n_heads <= len(ranking) or not 0 <= n_ffns <= layers:
        raise ValueError(
            f"{n_heads} heads and {n_ffns} FFNs asked for, at most {len(ranking)} and {layers} may be closed"
        )
    return Ticket(
        frozenset((layer, head) for _, layer, head in ranking[:n_heads]),
        frozenset(np.argsort(ffn_scores, kind="stable")[:n_ffns].tolist()),
    )


# ---- kinds of tickets ----


def winning(scores: Scores, rng: np.random.Generator) -> Scores:
    """Close what matters least."""
    return scores


def random(scores: Scores, rng: np.random.Generator) -> Scores:
    """Close units drawn at random, each with the same probability: the control."""
    heads, ffns = scores
    return rng.random(heads.shape), rng.random(ffns.shape)


def losing(scores: Scores, rng: np.random.Generator) -> Scores:
    """Close what matters most."""
    heads, ffns = scores
    return -heads, -ffns


@dataclass(frozen=True)
class TicketKind:
    """`rank`: from the importance scores (or from random numbers) to the scores whose lowest units are closed.

    It gets head scores divided by their L2 norm within each layer, and raw FFN scores. `by_scores`: whether tickets of
    this kind depend on the importance scores, and so on the criterion.
    """

    rank: Callable[[Scores, np.random.Generator], Scores]
    by_scores: bool = True


TICKET_KINDS = {
    "winning": TicketKind(winning),
    "random": TicketKind(random, by_scores=False),
    "losing": TicketKind(losing),
}


def by_scores(kind: str) -> bool:
    """Whether tickets of this kind are chosen by importance scores; those of the kind "dense" are not."""
    return kind in TICKET_KINDS and TICKET_KINDS[kind].by_scores


def rankings(head_scores: np.ndarray, ffn_scores: np.ndarray, seed: int, task: str) -> dict[str, Scores]:
    """Return {kind: (head scores, FFN scores)}; a ticket of the kind closes the lowest units of these.

    `head_scores`: (layers, heads), normalised within each layer; `ffn_scores`: (layers,).

    Random numbers come from the seed and the task's name, so every task gets random tickets of its own. All kinds get
    the same numbers.
    """
    scores = np.asarray(head_scores), np.asarray(ffn_scores)
    return {
        kind: entry.rank(scores, np.random.default_rng([seed, *task.encode()])) for kind, entry in TICKET_KINDS.items()
    }

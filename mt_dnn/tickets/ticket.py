"""A ticket says which heads and FFNs are closed: how many, and which."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from data_utils.errors import UserError

Scores = tuple[np.ndarray, np.ndarray]  # of heads, (layers, heads), and of FFNs, (layers,)


@dataclass(frozen=True)
class Ticket:
    """The units that are out. `heads`: set of (layer, head); `ffns`: set of layers; both count from 0."""

    heads: frozenset = frozenset()
    ffns: frozenset = frozenset()

    @property
    def counts(self):
        """(heads closed, FFNs closed)."""
        return len(self.heads), len(self.ffns)

    def heads_of(self, layer):
        """Closed heads of one layer, ascending."""
        return sorted(head for at, head in self.heads if at == layer)


DENSE = Ticket()


@dataclass(frozen=True)
class Shape:
    """What a ticket is cut from: layers, heads per layer, hidden and FFN width, parameters of the whole
    encoder (embeddings and pooler included, task head not)."""

    layers: int
    heads: int
    hidden: int
    intermediate: int
    parameters: int


# ---- how many ----


def counts_at(sparsity, layers, heads, min_heads_per_layer=1):
    """Return (heads, FFNs) that a sparsity closes: floor(p x layers x heads), floor(p x layers).

    `sparsity`: see parse_sparsity. As every layer keeps `min_heads_per_layer` heads, the highest
    sparsities close as many heads as that allows.
    """
    of_heads, of_ffns = parse_sparsity(sparsity)
    n_heads = math.floor(of_heads * layers * heads)
    return min(n_heads, layers * max(0, heads - min_heads_per_layer)), math.floor(of_ffns * layers)


def parse_sparsity(sparsity):
    """Return the parts of heads and of FFNs that a sparsity closes, as exact fractions, so that 0.3 x 10 is 3.

    `sparsity`: "0.3" for both, or "0.30:0.25" for heads and FFNs. Raises UserError if it is not one or two numbers from
    0 to 1.
    """
    try:
        parts = [Fraction(part) for part in str(sparsity).split(":")]
    except (ValueError, ZeroDivisionError):
        parts = []
    if len(parts) not in (1, 2) or not all(0 <= part <= 1 for part in parts):
        raise UserError(
            f"--sparsities: '{sparsity}', expected a number from 0 to 1, or two for heads and FFNs such as 0.30:0.25"
        )
    return parts[0], parts[-1]


def removed_parameters(ticket: Ticket, shape: Shape, biases: bool = True) -> int:
    """Parameters that go when `ticket` is taken out of an encoder."""
    return _removed(ticket.counts, shape, biases)


def remaining_weights(ticket: Ticket, shape: Shape, biases: bool = False) -> float:
    """Part of the encoder's parameters that remains, from 0 to 1.

    Without biases it is the usual formula, 1 - (2 I H n_ffns + 4 (H / heads) H n_heads) / parameters;
    with them it is what a pruned encoder really has.
    """
    return remaining_weights_at(ticket.counts, shape, biases)


def remaining_weights_at(counts: tuple[int, int], shape: Shape, biases: bool = False) -> float:
    """remaining_weights() of a ticket that closes (heads, FFNs)."""
    return 1 - _removed(counts, shape, biases) / shape.parameters


def _removed(counts: tuple[int, int], shape: Shape, biases: bool) -> int:
    """A head has its rows of query, key and value and its columns of the output projection: 4 x d x H weights
    (d = H / heads) and 3 x d biases. An FFN has 2 x I x H weights and I + H biases."""
    n_heads, n_ffns = counts
    size = shape.hidden // shape.heads
    per_head = 4 * size * shape.hidden + biases * 3 * size
    per_ffn = 2 * shape.intermediate * shape.hidden + biases * (shape.intermediate + shape.hidden)
    return n_heads * per_head + n_ffns * per_ffn


def average_counts(tickets: Collection[Ticket]) -> tuple[int, int]:
    """Return (heads, FFNs) closed on average over `tickets`, rounded down.

    The paper's average remaining weights are those of these counts. BERT-base's super tickets close 15 heads and 1 FFN,
    which gives 92.996 %, cut to 92.9 %. BERT-large's close 85 heads and 4 FFNs, which gives 83.339 %, cut to 83.3 %.
    The means of the tickets' own remaining weights are 92.3 % and 82.0 %.
    """
    n_heads, n_ffns = zip(*(ticket.counts for ticket in tickets))
    return sum(n_heads) // len(tickets), sum(n_ffns) // len(tickets)


# ---- which ----


def choose(head_scores, ffn_scores, n_heads, n_ffns, min_heads_per_layer=1):
    """Return the Ticket that closes the `n_heads` and `n_ffns` units with the lowest scores.

    `head_scores`: (layers, heads), comparable across layers; `ffn_scores`: (layers,). The
    `min_heads_per_layer` best heads of every layer stay. Ties go by (layer, head), so the outcome is
    one and the same everywhere, and tickets of one ranking lie inside each other.

    A winning ticket is chosen with the scores, a losing one with minus the scores, a random one with
    random scores.

    Raises ValueError if more units are asked for than may be closed, or a score is not finite.
    """
    head_scores, ffn_scores = np.asarray(head_scores, np.float64), np.asarray(ffn_scores, np.float64)
    if not (np.isfinite(head_scores).all() and np.isfinite(ffn_scores).all()):
        raise ValueError("scores that are not finite rank nothing")
    layers, heads = head_scores.shape
    may_go = np.argsort(head_scores, axis=1, kind="stable")[:, : heads - min_heads_per_layer]
    ranking = sorted((head_scores[layer, head], layer, int(head)) for layer in range(layers) for head in may_go[layer])
    if not 0 <= n_heads <= len(ranking) or not 0 <= n_ffns <= layers:
        raise ValueError(
            f"{n_heads} heads and {n_ffns} FFNs asked for, at most {len(ranking)} and {layers} may be closed"
        )
    return Ticket(
        frozenset((layer, head) for _, layer, head in ranking[:n_heads]),
        frozenset(np.argsort(ffn_scores, kind="stable")[:n_ffns].tolist()),
    )


def rankings(head_scores: np.ndarray, ffn_scores: np.ndarray, seed: int, task: str) -> dict[str, Scores]:
    """Return {kind: (head scores, FFN scores)} for winning, losing and random; each closes the lowest units of its own.

    The random scores are drawn from the seed and the task's name, so every task gets random tickets of its own.
    """
    head_scores, ffn_scores = np.asarray(head_scores), np.asarray(ffn_scores)
    rng = np.random.default_rng([seed, *task.encode()])
    return {
        "winning": (head_scores, ffn_scores),
        "losing": (-head_scores, -ffn_scores),
        "random": (rng.random(head_scores.shape), rng.random(ffn_scores.shape)),
    }

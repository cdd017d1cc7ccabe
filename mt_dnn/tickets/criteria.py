"""Importance criteria: a score for every head and FFN of a fine-tuned model; the lowest are closed first.

A criterion is one function here and its name in CRITERIA. `train.py --criterion NAME` takes it. Its scores lie in
importance_NAME.json, its masks in masks/NAME/ (of the default, `example`: importance.json and masks/). All else is the
same for all criteria: head scores are divided by their L2 norm within each layer (scores.py), and units are ranked by
their scores (ticket.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from data_utils.advice import entry_named
from data_utils.batches import sorted_batches
from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.encoders.encoder import TaskModel
from mt_dnn.loss import loss_per_row
from mt_dnn.runtime.distributed import all_reduce_sum, shard
from mt_dnn.runtime.log import progress_bar
from mt_dnn.runtime.machine import to_device
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.prune import removed_weights
from mt_dnn.tickets.ticket import DENSE, Scores, Ticket


@dataclass(frozen=True)
class TaskRows:
    """Training rows that a criterion may look at: those of `split`, of `task`.

    `batch_size` rows form a batch. It is computed in parts of at most `tokens` tokens (None: whole).
    """

    task: Task
    split: TokenizedSplit
    batch_size: int
    tokens: int | None = None

    def batches(self, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """Yield this process's batches, on `device`; all processes together take every row once."""
        batches = shard(sorted_batches(self.split.lengths, self.batch_size, self.tokens))
        for rows in progress_bar(batches, desc="importance", unit="batch"):
            yield to_device(self.split.batch(rows), device)

    def sample(self, at_most: int | None) -> "TaskRows":
        """Return a random sample of at most this many rows (None: all), always the same one."""
        if at_most is None or at_most >= len(self.split):
            return self
        chosen = np.random.default_rng(0).permutation(len(self.split))[:at_most]
        return replace(self, split=self.split.part(np.sort(chosen)))


# ---- the criteria ----


def gradient_per_example(model: TaskModel, data: TaskRows) -> Scores:
    """I(u) = E_x |dL(x) / d xi_u| at xi = 1 (Liang et al. 2021, Section 3).

    x runs over the rows, L(x) is the loss of that one row, xi_u the gate of unit u. Every row has gates of its own. So
    one backward pass of the summed loss gives the gradient of each row's loss, and the score does not depend on how
    rows are put into batches.
    """
    return mean_gradient(model, data, torch.abs)


def gradient_per_token(model: TaskModel, data: TaskRows) -> Scores:
    """Like gradient_per_example, but with a gate per position. The absolute value is taken before their sum.

    Michel et al. (2019), their code, and the code of Liang et al. (2021) do so.
    """
    return mean_gradient(model, data, torch.abs, per_token=True)


def mean_gradient(
    model: TaskModel, data: TaskRows, of_gradient: Callable[[Tensor], Tensor], per_token: bool = False
) -> Scores:
    """Return the mean over rows of a function of the gradient of the row's loss with respect to every gate.

    `of_gradient`: that function, elementwise, such as torch.abs; it gets gradients of the shapes (layers, rows,
    positions, heads) and (layers, rows, positions), and its values are summed over positions. `per_token`: there is a
    gate for every position; else one for the whole row, and positions is 1.
    """
    heads, ffns = _zeros(model)
    dtype, device = model.encoder.dtype, model.device
    for batch in data.batches(device):
        n_rows, length = batch["input_ids"].shape
        shape = n_rows, length if per_token else 1
        head_gates = torch.ones(len(heads), *shape, heads.shape[1], device=device, dtype=dtype, requires_grad=True)
        ffn_gates = torch.ones(len(ffns), *shape, device=device, dtype=dtype, requires_grad=True)
        with gated(model.encoder, head_gates, ffn_gates):
            loss = loss_per_row(model, data.task, batch).sum()
        head_gradients, ffn_gradients = torch.autograd.grad(loss, (head_gates, ffn_gates))
        heads += of_gradient(head_gradients).sum((1, 2), dtype=torch.float64)
        ffns += of_gradient(ffn_gradients).sum((1, 2), dtype=torch.float64)
    return _mean_over_rows(heads, ffns, data)


def loss_change(model: TaskModel, data: TaskRows) -> Scores:
    """E_x |L_u(x) - L(x)|: how much the loss of a row changes, up or down, when unit u alone is closed.

    gradient_per_example() is its first-order approximation.
    """
    return leave_one_out(model, data, torch.abs)


def loss_rise(model: TaskModel, data: TaskRows) -> Scores:
    """E_x [L_u(x) - L(x)]: how much the mean loss rises when unit u alone is closed; negative where it falls.

    A unit that raises the loss of some rows and lowers that of others gets a score near 0.
    """
    return leave_one_out(model, data, torch.positive)


@torch.no_grad()
def leave_one_out(model: TaskModel, data: TaskRows, of_change: Callable[[Tensor], Tensor]) -> Scores:
    """Return the mean over rows of a function of the change of the row's loss when a unit alone is closed.

    `of_change`: that function, elementwise, such as torch.abs. It takes layers x heads + layers + 1 forward passes over
    the rows.
    """
    heads, ffns = _zeros(model)
    head_gates, ffn_gates = ticket_gates(DENSE, len(ffns), heads.shape[1], model.device)
    with gated(model.encoder, head_gates, ffn_gates):
        for batch in data.batches(model.device):
            all_open = loss_per_row(model, data.task, batch).double()
            for gates, scores in ((head_gates.flatten(), heads.flatten()), (ffn_gates.flatten(), ffns)):  # views
                for unit in range(len(scores)):
                    gates[unit] = 0
                    scores[unit] += of_change(loss_per_row(model, data.task, batch).double() - all_open).sum()
                    gates[unit] = 1
    return _mean_over_rows(heads, ffns, data)


@torch.no_grad()
def magnitude(model: TaskModel, data: TaskRows) -> Scores:
    """Root mean square of the weights and biases that go with the unit when it is pruned. Looks at no row."""
    heads, ffns = _zeros(model)

    def root_mean_square(ticket: Ticket) -> Tensor:
        weights = torch.cat([part.flatten() for part in removed_weights(model.encoder, ticket)])
        return weights.double().square().mean().sqrt()

    for layer in range(len(ffns)):
        ffns[layer] = root_mean_square(Ticket(ffns=frozenset({layer})))
        for head in range(heads.shape[1]):
            heads[layer, head] = root_mean_square(Ticket(heads=frozenset({(layer, head)})))
    return heads.cpu().numpy(), ffns.cpu().numpy()


def _zeros(model: TaskModel) -> tuple[Tensor, Tensor]:
    """A zero for every head, (layers, heads), and FFN, (layers,), in float64."""
    config = model.encoder.config
    shape = config.num_hidden_layers, config.num_attention_heads
    return (
        torch.zeros(shape, dtype=torch.float64, device=model.device),
        torch.zeros(shape[0], dtype=torch.float64, device=model.device),
    )


def _mean_over_rows(heads: Tensor, ffns: Tensor, data: TaskRows) -> Scores:
    """From sums over this process's rows to means over the rows of all processes."""
    head_scores, ffn_scores = (all_reduce_sum(summed) / len(data.split) for summed in (heads, ffns))
    return head_scores.cpu().numpy(), ffn_scores.cpu().numpy()


# ---- the table ----


@dataclass(frozen=True)
class Criterion:
    """`score`: scores a model with training rows; `sample_rows`: it looks at a fixed sample of at most this many rows
    (None: at all of them); `signed`: whether a score may be negative."""

    score: Callable[[TaskModel, TaskRows], Scores]
    sample_rows: int | None = None
    signed: bool = False


CRITERIA = {
    "example": Criterion(gradient_per_example),
    "token": Criterion(gradient_per_token),
    "example_loss": Criterion(loss_change, sample_rows=512),
    "loss": Criterion(loss_rise, sample_rows=512, signed=True),
    "magnitude": Criterion(magnitude, sample_rows=0),
}


def criterion_named(name: str) -> Criterion:
    """Return the criterion; raise UserError, with the names there are, for another name."""
    return entry_named(CRITERIA, name, "criterion")


def score(model: TaskModel, data: TaskRows, name: str) -> Scores:
    """Return the scores of a model's heads, (layers, heads), and FFNs, (layers,), in float64, by the criterion `name`.

    Dropout is off, weights get no gradient, and autocast is not used: the scores are computed in float32. With several
    processes all of them return the same scores.

    Raises ValueError if the criterion does not return a score for every head and FFN.
    """
    criterion = criterion_named(name)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    was_training = model.training
    model.eval()
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        heads, ffns = criterion.score(model, data.sample(criterion.sample_rows))
    finally:
        model.train(was_training)
        for parameter in trainable:
            parameter.requires_grad_(True)
    config = model.encoder.config
    expected = (config.num_hidden_layers, config.num_attention_heads), (config.num_hidden_layers,)
    if (heads.shape, ffns.shape) != expected:
        raise ValueError(f"criterion {name}: scores of the shapes {heads.shape} and {ffns.shape}, expected {expected}")
    return heads, ffns

"""Importance of heads and FFNs: how much the loss moves with each gate."""

import torch

from data_utils.batches import sorted_batches
from mt_dnn.loss import loss_per_row
from mt_dnn.runtime.distributed import all_reduce_sum, shard
from mt_dnn.runtime.machine import to_device
from mt_dnn.tickets.gates import gated


def score(model, task, split, rows, batch_size, tokens=None, per="example", progress=lambda n: None):
    """Return (head scores (layers, heads), FFN scores (layers,)), float64, of `rows` of `split`.

    I(u) = E_x |dL(x) / d xi_u| at xi = 1 (Liang et al. 2021, Section 3, after Michel et al. 2019):
    x runs over the rows, L(x) is the loss of that one row, xi_u the gate of unit u. Every row has
    its own gates, so one backward pass of the summed loss gives the gradient of each row's loss, and
    the score does not depend on how rows are put into batches. Dropout is off; weights get no gradient.

    `per` "token" gives every position its own gate and takes the absolute value there, before the sum
    over positions (as the code released with both papers does).

    `tokens`: how many are computed at once. Several processes share the rows, each row once, and all return the same
    scores.
    """
    shape = model.encoder.config.num_hidden_layers, model.encoder.config.num_attention_heads
    device = next(model.parameters()).device
    heads, ffns = (
        torch.zeros(shape, dtype=torch.float64, device=device),
        torch.zeros(shape[0], dtype=torch.float64, device=device),
    )
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    was_training = model.training
    model.eval()
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        for chosen in shard(sorted_batches(split.lengths[rows], batch_size, tokens)):
            batch = to_device(split.batch(rows[chosen]), device)
            n_rows, length = batch["input_ids"].shape
            gates_per_row = length if per == "token" else 1
            dtype = model.encoder.dtype
            head_gates = torch.ones(
                shape[0], n_rows, gates_per_row, shape[1], device=device, dtype=dtype, requires_grad=True
            )
            ffn_gates = torch.ones(shape[0], n_rows, gates_per_row, device=device, dtype=dtype, requires_grad=True)
            with gated(model.encoder, head_gates, ffn_gates):
                loss = loss_per_row(model, task, batch).sum()
            head_grads, ffn_grads = torch.autograd.grad(loss, (head_gates, ffn_gates))
            heads += head_grads.abs().sum((1, 2), dtype=torch.float64)
            ffns += ffn_grads.abs().sum((1, 2), dtype=torch.float64)
            progress(len(chosen))
    finally:
        model.train(was_training)
        for parameter in trainable:
            parameter.requires_grad_(True)
    return tuple((all_reduce_sum(summed) / len(rows)).cpu().numpy() for summed in (heads, ffns))

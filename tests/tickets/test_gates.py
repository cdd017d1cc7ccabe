"""Gates in float64."""

import numpy as np
import torch
from in_memory import HEADS, LAYERS, make_model, make_rows, make_task

from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.ticket import Ticket


def test_closed_ffn_is_layer_norm_of_the_attention_output():
    task, split = make_task(), make_rows(False, "classification")
    model = make_model(task)
    layer, seen = model.encoder.encoder.layer[1], {}
    handles = [
        layer.attention.register_forward_hook(lambda module, inputs, output: seen.update(attention=output[0])),
        layer.register_forward_hook(lambda module, inputs, output: seen.update(layer=output)),
    ]
    with torch.no_grad(), gated(model.encoder, *ticket_gates(Ticket(ffns=frozenset({1})), LAYERS, HEADS)):
        model(task, split.batch(np.arange(3)))
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(seen["layer"], layer.output.LayerNorm(seen["attention"]), rtol=0, atol=1e-14)

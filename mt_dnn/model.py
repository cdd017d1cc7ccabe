"""The model: one shared encoder, one linear task head per task."""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from data_utils.tasks import Task
from mt_dnn.encoders.encoder import Encoder, TaskModel
from mt_dnn.encoders.families import family_of, takes_token_types
from mt_dnn.encoders.float32 import Float32Linear, layers_alone_in_autocast
from mt_dnn.encoders.mpnet import use_relative_layers
from mt_dnn.encoders.pretrained import lacks_pooler
from mt_dnn.encoders.speedups import apply_speedups
from mt_dnn.tickets.masks import encoder_name
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.sharing import SharedTicket, closed_heads_kept
from mt_dnn.tickets.ticket import DENSE, Shape, Ticket


class Model(TaskModel):
    """One encoder, and a task head for each task.

    `task_heads`: a linear layer by task. `shared`: the SharedTicket that a task's batches run through, by task name; a
    task that is not in it takes the whole encoder. `exact_sharing`: see updating().
    """

    def __init__(self, encoder: Encoder, tasks: Sequence[Task], plain: bool = False) -> None:
        """`encoder`: is made faster (speedups.py), in place, unless `plain`."""
        super().__init__()
        self.encoder = encoder
        if family_of(encoder.config).relative_positions:  # the library's layers can't lose a head
            use_relative_layers(encoder)
        if not plain:
            apply_speedups(encoder)
        layers_alone_in_autocast(encoder, encoder.encoder)
        self.token_types = takes_token_types(encoder.config)
        self.dropout = nn.ModuleDict({_key(task): nn.Dropout(task.head_dropout) for task in tasks})
        self.task_heads = nn.ModuleDict(
            {_key(task): Float32Linear(encoder.config.hidden_size, task.n_outputs) for task in tasks}
        )
        self.shared: dict[str, SharedTicket] = {}
        self.exact_sharing = False

    def draw_task_heads(self, seed: int) -> None:
        """Draw the task heads anew, and the pooler if it was not pre-trained: weights normal(0, 0.02), biases 0."""
        generator = torch.Generator().manual_seed(seed)
        for layer in (*self.task_heads.values(), *([self.encoder.pooler.dense] if lacks_pooler(self.encoder) else [])):
            nn.init.normal_(layer.get_parameter("weight"), 0, 0.02, generator=generator)
            nn.init.zeros_(layer.get_parameter("bias"))

    def set_tickets(self, tickets: dict[str, Ticket], exact_sharing: bool = False) -> None:
        """From now on, run a task's batches through its ticket, {task name: Ticket}, in the shared encoder.

        Call it when the encoder is on its device. `exact_sharing`: see updating().
        """
        self.exact_sharing = exact_sharing
        self.shared = {name: SharedTicket(self.encoder, ticket) for name, ticket in tickets.items() if ticket != DENSE}

    def updating(self, tasks: Iterable[str], optimizer: torch.optim.Optimizer) -> contextlib.AbstractContextManager:
        """Return a context for the optimizer's step after batches of `tasks` (names).

        With exact sharing, heads that the tickets of all these tasks close keep their weights and their entries of the
        optimizer's state.
        """
        if not self.exact_sharing:
            return contextlib.nullcontext()
        tickets = [self.shared[name].ticket if name in self.shared else DENSE for name in tasks]
        return closed_heads_kept(self.encoder, tickets, optimizer)

    def forward(self, task: Task, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the outputs for `task`: (batch, classes) logits, or (batch, 1) values.

        `batch`: `input_ids`, (batch, length) token ids; `attention_mask`, of the same shape, 1 at tokens and 0 at
        padding, left out where there is no padding; `token_type_ids`, of the same shape, read if the encoder has them.

        Where autocast is on, the encoder's layers run in its precision; pooler and head run in float32 (float32.py).
        """
        encoder = self.shared.get(task.name, self.encoder)
        mask = batch.get("attention_mask")
        if mask is not None:
            # What is added to the scores: 0 at tokens, -inf at padding. The library makes the same of a mask of 0 and
            # 1, but asks the GPU first whether there is padding, and waits for the answer.
            mask = torch.zeros_like(mask, dtype=self.encoder.dtype).masked_fill(mask == 0, -math.inf)[:, None, None]
        types = {"token_type_ids": batch["token_type_ids"]} if self.token_types else {}
        pooled = encoder(input_ids=batch["input_ids"], attention_mask=mask, **types).pooler_output
        return self.task_heads[_key(task)](self.dropout[_key(task)](pooled))


def _key(task: Task) -> str:
    return f"task_{task.name}"  # torch reserves names such as `train` and `type`


def model_entry(encoder: Encoder) -> dict[str, Any]:
    """Return the `model` entry of a mask file: the name and Shape of an encoder that nothing was taken out of."""
    return {"name": encoder_name(encoder.config.name_or_path or ""), **dataclasses.asdict(shape_of(encoder))}


def shape_of(encoder: Encoder) -> Shape:
    """Return the Shape of an encoder that nothing was taken out of."""
    config = encoder.config
    return Shape(
        config.num_hidden_layers,
        config.num_attention_heads,
        config.hidden_size,
        config.intermediate_size,
        count_parameters(encoder),
    )


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def place_tickets(model: Model, tickets: dict[str, Ticket], exact_sharing: bool = False) -> Model:
    """Give every task of `model` its ticket, {task name: Ticket}; return `model`.

    What a single task's ticket closes is taken out of the encoder for good; several tasks share the encoder
    (`exact_sharing`: see Model.updating).
    """
    if len(tickets) == 1:
        prune(model.encoder, *tickets.values())
    else:
        model.set_tickets(tickets, exact_sharing)
    return model

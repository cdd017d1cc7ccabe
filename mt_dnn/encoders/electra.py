"""ELECTRA with a pooler, which in the library is a part of its classifier."""

from typing import Any

import torch
from torch import nn
from transformers import ElectraConfig, ElectraModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


class ElectraWithPooler(ElectraModel):
    """`pooler_output`: gelu of a linear layer on the first position's last hidden state."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.pooler = ElectraPooler(config.hidden_size)
        self.post_init()

    def forward(self, **inputs: Any) -> BaseModelOutputWithPooling:
        states = super().forward(**inputs)[0]  # the last hidden states
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=self.pooler(states))


class ElectraPooler(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(self.dense(hidden_states[:, 0]))

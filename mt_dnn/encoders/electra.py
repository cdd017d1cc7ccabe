"""ELECTRA with a pooler, which in the library is a part of its classifier."""

from torch import nn
from transformers import ElectraModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


class ElectraWithPooler(ElectraModel):
    """`pooler_output`: gelu of a linear layer on the first position's last hidden state."""

    def __init__(self, config):
        super().__init__(config)
        self.pooler = Pooler(config.hidden_size)
        self.post_init()

    def forward(self, **inputs):
        states = super().forward(**inputs).last_hidden_state
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=self.pooler(states))


class Pooler(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, hidden_states):
        return nn.functional.gelu(self.dense(hidden_states[:, 0]))

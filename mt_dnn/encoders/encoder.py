"""The parts of an encoder and of a model, with their types.

torch says of a part of a module only that it is a Tensor or a Module. These classes say what it is, to readers and to
the type checker. No object of them is made: the encoders are those of transformers, which have these parts in all
families, and a model is a subclass of TaskModel.
"""

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from data_utils.tasks import Task


class Embeddings(nn.Module):
    word_embeddings: nn.Module  # nn.Embedding, or vocabulary.py's UsedRows in its place
    position_embeddings: nn.Embedding


class SelfAttention(nn.Module):
    """What attention.py reads of every family's self-attention."""

    config: PretrainedConfig
    attention_head_size: int
    dropout: nn.Dropout


class Layers(nn.Module):
    layer: nn.ModuleList


class Pooler(nn.Module):
    dense: nn.Linear


class Encoder(PreTrainedModel):
    """An encoder of one of families.py."""

    embeddings: Embeddings
    encoder: Layers
    pooler: Pooler


class TaskModel(nn.Module):
    """A model of one or more tasks, on an encoder."""

    encoder: Encoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.device

    def forward(self, task: Task, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the outputs for `task`: (batch, classes) logits, or (batch, 1) values."""
        raise NotImplementedError

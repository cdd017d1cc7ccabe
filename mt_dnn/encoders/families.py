"""The families of encoders that tickets can be cut from, and what differs between them.

All are stacks of the same layer as BERT's: attention, LayerNorm, FFN, LayerNorm. One not listed here is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import transformers

from data_utils.errors import UserError
from mt_dnn.encoders.encoder import Encoder


@dataclass(frozen=True)
class Family:
    """What differs between the families of encoders: classes and names of parts in the library.

    `model`: the encoder's class.
    `query`, `key`, `value`, `output`: the attention's projections within a layer, by name. The FFN is
    `intermediate.dense` and `output.dense` in all families.
    `token_types`: whether the encoder tells first and second sentences apart by token types.
    `after_padding`: whether positions are counted from the padding token's id + 1. The rows of the position table
    before that one then belong to no position.
    `relative_positions`: whether a bias of every head by distance is added to its scores.
    `pooler`, `task_head`: where the library's classifier keeps the pooler's linear layer and the task's.
    """

    model: str = field(compare=False)  # RoBERTa and XLM-RoBERTa are one family
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    token_types: bool = False
    after_padding: bool = False
    relative_positions: bool = False
    pooler: str = "classifier.dense"
    task_head: str = "classifier.out_proj"


FAMILIES = {  # by the `model_type` of a config.json
    "bert": Family("BertModel", token_types=True, pooler="bert.pooler.dense", task_head="classifier"),
    "roberta": Family("RobertaModel", after_padding=True),
    "xlm-roberta": Family("XLMRobertaModel", after_padding=True),
    "electra": Family("ElectraWithPooler", token_types=True),
    "mpnet": Family(
        "MPNetModel",
        "attention.attn.q",
        "attention.attn.k",
        "attention.attn.v",
        "attention.attn.o",
        after_padding=True,
        relative_positions=True,
    ),
}


def family_of(config: transformers.PretrainedConfig) -> Family:
    """Return the Family of an encoder with this config.

    Raises UserError if the config belongs to no family (the error lists all families), or if the library cannot run it
    as an encoder.
    """
    if config.model_type not in FAMILIES:
        raise UserError(
            f"{config.name_or_path}: a model of type '{config.model_type}', expected one of: {', '.join(FAMILIES)}"
        )
    family = FAMILIES[config.model_type]
    if getattr(config, "is_decoder", False):
        raise UserError(f"{config.name_or_path}: config.json: is_decoder is true, expected an encoder")
    if family.after_padding and config.pad_token_id is None:
        raise UserError(
            f"{config.name_or_path}: config.json: pad_token_id is null, expected the padding token's id, from which "
            "positions are counted"
        )
    return family


def refuse_other_architecture(config: transformers.PretrainedConfig) -> None:
    """Raise UserError if `architectures` in a config.json names a class of another family than its `model_type`, or,
    for ELECTRA, is missing.

    The weights of most families have the same names, so nothing else shows that a config lies over another's weights.
    """
    family = family_of(config)
    if config.model_type == "electra" and not config.architectures:  # nothing else tells it from BERT
        raise UserError(
            f"{config.name_or_path}: config.json: model_type 'electra' without architectures, expected a class of "
            'ELECTRA there, such as ["ElectraModel"], as its weights look like those of BERT'
        )
    for architecture in config.architectures or ():
        for model_type, other in FAMILIES.items():
            prefix = other.model.removesuffix("Model").removesuffix("WithPooler")
            if architecture.startswith(prefix) and other != family:
                raise UserError(
                    f"{config.name_or_path}: config.json: model_type '{config.model_type}' with architectures "
                    f"{architecture}, expected one family; that class is of '{model_type}'"
                )


def refuse_other_padding(config: transformers.PretrainedConfig, pad_id: object) -> None:
    """Raise UserError if positions are counted from another padding token than `pad_id`, the tokenizer's."""
    if family_of(config).after_padding and config.pad_token_id != pad_id:
        raise UserError(
            f"{config.name_or_path}: config.json: pad_token_id {config.pad_token_id}, expected {pad_id}, "
            f"the padding token of its tokenizer, as {config.model_type} counts positions from it"
        )


def refuse_other_positions(encoder: Encoder) -> None:
    """Raise UserError if the position table shows that the weights are another family's than the config.json says.

    Where positions are counted from the padding token's id on, that row of the table stands for no position and stays
    zero; elsewhere it is a position like any other. (Checkpoints trained with Flax can have numbers in this row, but
    only for a padding token of id 1, never 0.)
    """
    config, table = encoder.config, encoder.embeddings.position_embeddings
    row = config.pad_token_id if table.padding_idx is None else table.padding_idx
    if not isinstance(row, int) or not 0 <= row < table.num_embeddings:
        return
    zero = not table.weight[row].any()
    if family_of(config).after_padding and row == 0 and not zero:
        problem = "has numbers there, where this family has zeros"
    elif not family_of(config).after_padding and zero:
        problem = "is zero there, as in families that count positions from the padding token's id"
    else:
        return
    raise UserError(
        f"{config.name_or_path}: config.json: model_type '{config.model_type}' with pad_token_id {row}, but the table "
        f"of positions {problem}; expected the config.json of these weights"
    )


def refuse_more_layers(config: transformers.PretrainedConfig, weights: Iterable[str]) -> None:
    """Raise UserError if a config.json has more layers than the `weights` (names) of its checkpoint.

    The library would build them all first. A number with some digits too many would fill the memory.
    """
    layers = {match[1] for name in weights if (match := re.search(r"encoder\.layer\.(\d+)\.", name))}
    if config.num_hidden_layers > len(layers):
        raise UserError(
            f"{config.name_or_path}: config.json: num_hidden_layers {config.num_hidden_layers}, but the weights have "
            f"{len(layers)} layers; expected the config.json of these weights"
        )


def takes_token_types(config: transformers.PretrainedConfig) -> bool:
    """Whether an encoder with this config tells first and second sentences apart."""
    return family_of(config).token_types and config.type_vocab_size > 1


def encoder_class(config: transformers.PretrainedConfig) -> type[Encoder]:
    """Return the class of encoders with this config: a class of the library, or electra.py's."""
    family = family_of(config)
    if family.model == "ElectraWithPooler":
        from mt_dnn.encoders.electra import ElectraWithPooler

        return cast(type[Encoder], ElectraWithPooler)
    return getattr(transformers, family.model)


def max_positions(encoder: Encoder) -> int:
    """Return how many tokens a row may have in `encoder`."""
    table = encoder.embeddings.position_embeddings
    if table.padding_idx is None or not family_of(encoder.config).after_padding:
        return table.num_embeddings
    return table.num_embeddings - (table.padding_idx + 1)

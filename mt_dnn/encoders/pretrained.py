"""Load a pre-trained encoder."""

from pathlib import Path

import torch
import transformers

from data_utils.errors import UserError
from data_utils.hub import FLOATS, hub_errors, take_another, weight_types
from mt_dnn.checksums import refuse_damaged_files
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.families import (
    encoder_class,
    refuse_more_layers,
    refuse_other_architecture,
    refuse_other_positions,
)

# How a Model calls its encoder; a config.json may say otherwise.
AS_CALLED = {
    "return_dict": True,
    "output_attentions": False,
    "output_hidden_states": False,
    "chunk_size_feed_forward": 0,
}
POOLER = {"pooler.dense.weight", "pooler.dense.bias"}


def load_encoder(name: str | Path, dropout: float = 0.1) -> Encoder:
    """Load a pre-trained encoder of one of the families, by hub name or from a local folder in the hub's format.

    Weights of other modules in the checkpoint (a language-model head) are ignored. The pooler may be missing, as it is
    from most checkpoints of some families: see lacks_pooler().

    Raises UserError if the checkpoint can't be read, is of no family or of another than its config.json says, and if a
    weight of the encoder is missing, has another shape, or is no floating-point number.
    """
    where = f"--init_checkpoint {name}"
    refuse_damaged_files(Path(name))
    if any(Path(name).glob("pytorch_model*.bin")) and not any(Path(name).glob("*.safetensors")):
        raise UserError(
            f"{where}: has pytorch_model.bin, a pickle, which runs code as it is loaded, expected model.safetensors; "
            "docs/encoders.md says how to convert it"
        )
    with hub_errors(name, "a pre-trained encoder"):
        config = transformers.AutoConfig.from_pretrained(
            name,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            trust_remote_code=False,
            **AS_CALLED,
        )
        refuse_other_architecture(config)
        types = weight_types(name)
        refuse_more_layers(config, types)
        encoder, report = encoder_class(config).from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )  # pyright: ignore[reportGeneralTypeIssues]
    encoder.config._attn_implementation = "sdpa"
    parts, prefix = ("embeddings.", "embeddings_project.", "encoder.", "pooler."), f"{encoder.base_model_prefix}."
    more = [
        key
        for key in report["unexpected_keys"]
        if key.removeprefix(prefix).startswith(parts) and not key.endswith("position_ids")
    ]
    missing = set(report["missing_keys"])
    encoder.lacks_pooler = missing >= POOLER
    weights = dict(encoder.named_parameters())
    for problem, keys in (
        ("lacks", missing - POOLER if encoder.lacks_pooler else missing),
        ("has another shape for", [key[0] for key in report["mismatched_keys"]]),
        ("has, beyond its config.json,", more),
        ("has integers for", [k for k, v in types.items() if k.removeprefix(prefix) in weights and v not in FLOATS]),
        ("has NaN or infinity in", [key for key, value in weights.items() if not value.isfinite().all()]),
    ):
        if keys:
            raise UserError(
                f"{where}: {problem} {len(keys)} weights of the encoder ({min(keys)}, ...), expected a whole one"
                f"{take_another('--init_checkpoint')}"
            )
    refuse_other_positions(encoder)
    return encoder


def lacks_pooler(encoder: Encoder) -> bool:
    """Whether the checkpoint had no pooler. Every run then draws one from its seed, as it draws the task's head."""
    return getattr(encoder, "lacks_pooler", False)

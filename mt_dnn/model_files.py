"""A trained model as a folder: save it, load it."""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

from data_utils.advice import advice
from data_utils.errors import UserError, is_memory_full
from data_utils.files import save_tensors, write_folder_whole
from data_utils.hub import FLOATS, hub_errors, weight_types
from data_utils.tasks import Task
from mt_dnn.checksums import refuse_damaged_files, write_checksums
from mt_dnn.encoders.families import encoder_class, refuse_more_layers
from mt_dnn.model import Model, model_entry, place_tickets
from mt_dnn.saved_tasks import SavedTasks, has_saved_tasks
from mt_dnn.tickets.compatibility import refuse_other_model
from mt_dnn.tickets.masks import Mask, read_mask, saved_mask, tickets_for, write_mask
from mt_dnn.tickets.ticket import DENSE


def save_model(
    folder: Path, model: Model, tokenizer: transformers.PreTrainedTokenizerBase, mask: Mask, saved_tasks: SavedTasks
) -> None:
    """Save `model`, trained with the tickets of `mask`, as a folder, whole or not at all.

    The folder has the weights as safetensors, the encoder's config, the tokenizer, mask.json, tasks.json and the files'
    fingerprints. The encoder of one task is saved pruned; one that several tasks share is saved whole.
    """
    with write_folder_whole(folder) as beside:
        write_weights(beside, model)
        write_description(beside, tokenizer, mask, saved_tasks)
        write_checksums(beside)


def write_weights(folder: Path, model: Model) -> None:
    """Write the weights of `model` as safetensors, and its encoder's config."""
    state = {
        _rename(key, "encoder.", f"{model.encoder.base_model_prefix}."): value
        for key, value in model.state_dict().items()
    }
    save_tensors(folder / "model.safetensors", state, {"format": "pt"})
    model.encoder.config.save_pretrained(folder)


def write_description(
    folder: Path, tokenizer: transformers.PreTrainedTokenizerBase, mask: Mask, saved_tasks: SavedTasks
) -> None:
    """Write what lies beside the weights in every format: tokenizer, mask.json, tasks.json."""
    tokenizer.save_pretrained(folder)
    write_mask(saved_mask(folder), mask)
    saved_tasks.write(folder)


def refuse_to_save_over(folder: Path, init_checkpoint: str) -> None:
    """Raise UserError if save_model would replace another thing than a model of ours, or the weights to start from.

    `folder`: where the model is to be saved; `init_checkpoint`: a hub name or a folder.
    """
    if folder.exists() and folder.resolve() == Path(init_checkpoint).resolve():
        raise UserError(
            f"{folder}: the weights to start from, expected another place for the trained model; "
            f"take another {advice('--output_dir')}"
        )
    if folder.exists() and not has_saved_tasks(folder):
        raise UserError(
            f"{folder}: not a model of ours, expected one, which is replaced, or nothing of that name; "
            f"take another {advice('--output_dir')}"
        )


def refuse_closed_units(folder: Path) -> None:
    """Raise UserError if the model in `folder` has closed heads or FFNs: such a model is not scored."""
    mask = read_mask(saved_mask(folder))
    if any(ticket != DENSE for ticket in mask.tickets.values()):
        raise UserError(f"{folder}: a model with a {mask.kind} ticket, expected the dense model of train.py to score")


def _rename(key: str, prefix: str, other: str) -> str:
    return other + key.removeprefix(prefix) if key.startswith(prefix) else key


def load_model(
    folder: str | Path, tasks: Sequence[Task], device: str | torch.device = "cpu", plain: bool = False
) -> Model:
    """Load what save_model wrote, as a Model on `device` with the task heads and tickets of `tasks`.

    Raises UserError unless the files are undamaged, the weights are numbers, and all of them fit together.
    """
    folder = Path(folder)
    refuse_damaged_files(folder)
    mask = read_mask(saved_mask(folder))
    with hub_errors(folder, "a saved model", flag=""):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        encoder_type, state = encoder_class(config), load_file(folder / "model.safetensors")
        refuse_more_layers(config, state)
        refuse_integers(weight_types(folder), folder)
        encoder = encoder_type(config)
    encoder.config._attn_implementation = "sdpa"
    encoder.config.name_or_path = mask.model["name"]
    refuse_other_model(mask, saved_mask(folder), model_entry(encoder))
    model = place_tickets(
        Model(encoder, tasks, plain).to(device), tickets_for(mask, saved_mask(folder), [task.name for task in tasks])
    )
    try:
        model.load_state_dict(
            {_rename(key, f"{encoder.base_model_prefix}.", "encoder."): value for key, value in state.items()}
        )
    except RuntimeError as error:
        if is_memory_full(error):
            raise
        names = ", ".join(task.name for task in tasks)
        raise UserError(
            f"{folder}: model.safetensors, config.json, mask.json and the tasks ({names}) do not fit together, "
            "expected a model that this version saved for these tasks"
        ) from None
    refuse_nonfinite_weights(state, folder)
    return model


def refuse_integers(types: dict[str, str], folder: Path) -> None:
    """Raise UserError if a weight of the model in `folder` is no floating-point number; `types`: of weight_types()."""
    for name, dtype in types.items():
        if dtype not in FLOATS:
            raise UserError(
                f"{folder}/model.safetensors: {name} has the type {dtype}, expected floating-point numbers, as saved"
            )


def refuse_nonfinite_weights(state: dict[str, torch.Tensor], folder: Path) -> None:
    """Raise UserError if a weight of the model in `folder` is NaN or infinite."""
    for name, value in state.items():
        if not value.isfinite().all():
            raise UserError(f"{folder}/model.safetensors: {name} has NaN or infinity, expected numbers; train it again")

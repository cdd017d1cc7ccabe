"""The model: one shared encoder, one linear head per task; load it, save it."""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from data_utils.advice import advice
from data_utils.checksums import refuse_damaged_files, write_checksums
from data_utils.errors import UserError, is_memory_full
from data_utils.files import save_tensors, write_folder_whole
from data_utils.hub import FLOATS, hub_errors, weight_types
from data_utils.saved_tasks import SavedTasks, has_saved_tasks
from data_utils.tasks import Task
from mt_dnn.encoders.encoder import Encoder, TaskModel
from mt_dnn.encoders.families import encoder_class, refuse_more_layers, takes_token_types
from mt_dnn.encoders.float32 import Float32Linear, layers_alone_in_autocast
from mt_dnn.encoders.pretrained import lacks_pooler
from mt_dnn.encoders.speedups import apply_speedups
from mt_dnn.tickets.fitting import refuse_other_model
from mt_dnn.tickets.masks import Mask, encoder_name, read_mask, saved_mask, tickets_for, write_mask
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.sharing import SharedTicket, closed_heads_kept
from mt_dnn.tickets.ticket import DENSE, Shape, Ticket


class Model(TaskModel):
    """One encoder, and a head for each task.

    `heads`: a linear layer by task. `shared`: the SharedTicket that a task's batches run through, by task name; a task
    that is not in it takes the whole encoder. `exact_sharing`: see updating().
    """

    def __init__(self, encoder: Encoder, tasks: Sequence[Task], plain: bool = False) -> None:
        """`encoder`: is made faster (speedups.py), in place, unless `plain`."""
        super().__init__()
        self.encoder = encoder
        apply_speedups(encoder, plain)
        layers_alone_in_autocast(encoder, encoder.encoder)
        self.token_types = takes_token_types(encoder.config)
        self.dropout = nn.ModuleDict({_key(task): nn.Dropout(task.head_dropout) for task in tasks})
        self.heads = nn.ModuleDict(
            {_key(task): Float32Linear(encoder.config.hidden_size, task.n_outputs) for task in tasks}
        )
        self.shared: dict[str, SharedTicket] = {}
        self.exact_sharing = False

    def draw_heads(self, seed: int) -> None:
        """Draw the task heads anew, and the pooler if it was not pre-trained: weights normal(0, 0.02), biases 0."""
        generator = torch.Generator().manual_seed(seed)
        for layer in (*self.heads.values(), *([self.encoder.pooler.dense] if lacks_pooler(self.encoder) else [])):
            nn.init.normal_(layer.get_parameter("weight"), 0, 0.02, generator=generator)
            nn.init.zeros_(layer.get_parameter("bias"))

    def set_tickets(self, tickets: dict[str, Ticket], exact: bool = False) -> None:
        """From now on, run a task's batches through its ticket, {task name: Ticket}, in the shared encoder.

        Call it when the encoder is on its device. `exact`: see updating().
        """
        self.exact_sharing = exact
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
        return self.heads[_key(task)](self.dropout[_key(task)](pooled))


def _key(task: Task) -> str:
    return f"task_{task.name}"  # torch reserves names such as `train` and `type`


def describe(encoder: Encoder) -> dict[str, Any]:
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


def save_model(
    folder: Path, model: Model, tokenizer: transformers.PreTrainedTokenizerBase, mask: Mask, saved_tasks: SavedTasks
) -> None:
    """Save `model`, trained with the tickets of `mask`, as a folder, whole or not at all.

    The folder has the weights as safetensors, the encoder's config, the tokenizer, mask.json, tasks.json and the files'
    fingerprints. The encoder of one task is saved pruned; one that several tasks share is saved whole.
    """
    with write_folder_whole(folder) as beside:
        state = {
            _rename(key, "encoder.", f"{model.encoder.base_model_prefix}."): value.contiguous()
            for key, value in model.state_dict().items()
        }
        save_tensors(beside / "model.safetensors", state, {"format": "pt"})
        model.encoder.config.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        write_mask(saved_mask(beside), mask)
        saved_tasks.write(beside)
        write_checksums(beside)


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
    """Load what save_model wrote, as a Model on `device` with the heads of `tasks` and each task's ticket in its place.

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
    refuse_other_model(mask, saved_mask(folder), describe(encoder))
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
    refuse_no_numbers(state, folder)
    return model


def refuse_integers(types: dict[str, str], folder: Path) -> None:
    """Raise UserError if a weight of the model in `folder` is no floating-point number; `types`: of weight_types()."""
    for name, dtype in types.items():
        if dtype not in FLOATS:
            raise UserError(
                f"{folder}/model.safetensors: {name} has the type {dtype}, expected floating-point numbers, as saved"
            )


def refuse_no_numbers(state: dict[str, torch.Tensor], folder: Path) -> None:
    """Raise UserError if a weight of the model in `folder` is NaN or infinite."""
    for name, value in state.items():
        if not value.isfinite().all():
            raise UserError(f"{folder}/model.safetensors: {name} has NaN or infinity, expected numbers; train it again")


def place_tickets(model: Model, tickets: dict[str, Ticket], exact_sharing: bool = False) -> Model:
    """Give every task of `model` its ticket, {task name: Ticket}; return `model`.

    A single task's ticket is taken out of the encoder for good; several share it (`exact_sharing`: see Model.updating).
    """
    if len(tickets) == 1:
        prune(model.encoder, *tickets.values())
    else:
        model.set_tickets(tickets, exact_sharing)
    return model

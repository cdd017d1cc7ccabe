"""The formats that a model is exported in, without the units that its ticket closes: zeroed, compact, onnx."""

import copy
import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from data_utils.errors import RunFailed, UserError
from data_utils.files import save_tensors, write_folder_whole
from data_utils.hub import hub_errors
from data_utils.tasks import Task
from mt_dnn.checksums import write_checksums
from mt_dnn.encoders.families import encoder_class, family_of
from mt_dnn.export.classifier import HFClassifier, classifier_of, load_classifier
from mt_dnn.export.export_table import export_table
from mt_dnn.export.saved_model import SavedModel
from mt_dnn.model import Model, count_parameters
from mt_dnn.model_files import write_description, write_weights
from mt_dnn.saved_tasks import SavedTasks
from mt_dnn.tickets.masks import Mask
from mt_dnn.tickets.prune import kept_slices, prune
from mt_dnn.tickets.ticket import Ticket

SAVED_AS = {"zeroed": "zeroed", "compact": "tickets", "onnx": "onnx"}
TABLE = "export.md"
ONE_FILE = 2**31 - 2**24  # bytes: more weights than that go into model.onnx.data, beside model.onnx
CLOSE = 1e-4  # logits of an export and of its model differ by rounding, see export_table; if by more, it is a fault


def export(saved: SavedModel, name: str, file_format: str, output: Path) -> str:
    """Export task `name` of `saved` to the folder `output`, whole or not at all.

    `file_format`: a key of SAVED_AS. Returns a table in Markdown of the zeroed model, the compact one and this export,
    which is in the folder's export.md too.

    Raises UserError where the saved model does not hold together, `output` holds something else than an export, or a
    package is missing; RunFailed where the export gives other outputs than the model.
    """
    if file_format == "onnx":
        _refuse_missing_packages()
    refuse_to_replace(output, saved)
    if saved.format != "tickets":
        raise UserError(f"{saved.folder}: a {saved.format} export, expected the folder of a run, or a compact export")
    original, mask = classifier_of(saved, name, "cpu"), saved.mask()
    assert isinstance(original.model, Model)  # the format is "tickets"
    task, ticket, tokenizer = original.task, mask.tickets[name], original.tokenizer
    compact = take_out(original.model, task, ticket)
    zeroed = zeroed_classifier(saved, compact, task, ticket)
    one_mask = Mask(mask.kind, mask.model, {name: ticket}, mask.provenance_of(name))
    one_task = SavedTasks(
        SAVED_AS[file_format], {name: task}, {name: saved.max_seq_len[name]}, trained_on=saved.trained_on
    )
    with write_folder_whole(output) as beside:
        if file_format == "compact":
            write_weights(beside, compact)
        elif file_format == "zeroed":
            zeroed.config.architectures = [type(zeroed).__name__]
            zeroed.config.save_pretrained(beside)
            state = {key: value.contiguous() for key, value in zeroed.state_dict().items()}
            save_tensors(beside / "model.safetensors", state, {"format": "pt"})
            if not compact.token_types:
                tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
        else:
            write_onnx(beside / "model.onnx", compact, task)
        tokenizer.model_max_length = original.max_seq_len  # where plain transformers cuts a row, as the run did
        write_description(beside, tokenizer, one_mask, one_task)
        exported = load_classifier(beside, device="cpu").model  # as it lies on the disk
        table, difference = export_table(
            {"zeroed": HFClassifier(zeroed), "compact": compact, file_format: exported}, original
        )
        if not difference <= CLOSE:  # NaN is not, either
            raise RunFailed(
                f"{output}: logits differ by {difference:.1e} from those of {saved.folder}, "
                f"expected at most {CLOSE:.0e}; nothing was written"
            )
        (beside / TABLE).write_text(table, encoding="utf-8")
        write_checksums(beside)
    return table


def take_out(model: Model, task: Task, ticket: Ticket) -> Model:
    """Return a Model of `task` alone, pruned to its ticket; `model` may be just that already."""
    if len(model.task_heads) == 1:
        return model
    alone = Model(copy.deepcopy(model.encoder), [task])
    alone.task_heads.load_state_dict(
        {key: value for key, value in model.task_heads.state_dict().items() if key in alone.task_heads.state_dict()}
    )
    prune(alone.encoder, ticket)
    return alone


def zeroed_classifier(saved: SavedModel, model: Model, task: Task, ticket: Ticket) -> transformers.PreTrainedModel:
    """Return the library's classifier that gives the outputs of `model`, which is `saved` for one task, pruned.

    What the ticket closes is there, and zero. A head whose values and output columns are zero adds nothing, nor does an
    FFN whose second layer is zero with its bias.
    """
    with hub_errors(saved.folder, "a saved model", flag=""):
        config = transformers.AutoConfig.from_pretrained(saved.folder, trust_remote_code=False)
    config.id2label = dict(enumerate(task.kind.output_names(task.labels)))
    config.label2id = {label: number for number, label in config.id2label.items()}
    config.problem_type = task.kind.problem_type
    config.classifier_dropout = task.head_dropout
    whole = Model(encoder_class(config)(copy.deepcopy(config)), [task])
    slices, family = kept_slices(whole.encoder, ticket), family_of(config)
    state = {name: torch.zeros_like(value) for name, value in whole.encoder.state_dict().items()}
    for name, value in model.encoder.state_dict().items():
        if name in slices:
            dimension, units = slices[name]
            state[name].index_copy_(dimension, units, value)
        else:
            state[name] = value
    classifier = transformers.AutoModelForSequenceClassification.from_config(config)
    (task_head,) = model.task_heads.values()
    named = {
        f"{classifier.base_model_prefix}.{name}": value
        for name, value in state.items()
        if not name.startswith("pooler.")
    }
    for place, linear in ((family.pooler, model.encoder.pooler.dense), (family.task_head, task_head)):
        named |= {f"{place}.{name}": value for name, value in linear.state_dict().items()}
    classifier.load_state_dict(named)
    return classifier


class _TensorModel(nn.Module):
    """A Model for one task, as a function of tensors."""

    def __init__(self, model: Model, task: Task) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        return self.model(self.task, batch)


def write_onnx(path: Path, model: Model, task: Task) -> None:
    """Write `model` (pruned, of one task) to `path` as ONNX, for any number and length of rows.

    Inputs: input_ids, attention_mask (1 at tokens, 0 at padding) and, where its family has them, token_type_ids, all
    (rows, tokens) int64. Output: logits (rows, outputs) float32.
    """
    inputs = {
        name: torch.ones(2, 7, dtype=torch.long)
        for name in ("input_ids", "attention_mask", *(["token_type_ids"] if model.token_types else []))
    }
    inputs["attention_mask"][1, 5:] = 0
    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens")}
    config: Any = model.encoder.config
    attention, config._attn_implementation = config._attn_implementation, "eager"  # the exporter can't take all others
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it would say that torchvision is not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself
            torch.onnx.export(
                _TensorModel(model, task).eval(),
                kwargs=inputs,
                f=str(path),
                dynamo=True,
                external_data=4 * count_parameters(model) > ONE_FILE,
                verbose=False,
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_shapes={name: sizes for name in inputs},
            )
    finally:
        config._attn_implementation = attention


def refuse_to_replace(output: Path, saved: SavedModel) -> None:
    """Raise UserError unless `output` is new, or an earlier export without folders in it, other than `saved` itself."""
    if output.exists() and (
        output.resolve() == saved.folder.resolve()
        or not (output / TABLE).is_file()
        or any(path.is_dir() for path in output.iterdir())
    ):
        raise UserError(
            f"--output {output}: there is something else already, expected a new folder, "
            "or an earlier export to replace"
        )


def _refuse_missing_packages() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format onnx: {', '.join(missing)} not installed, expected the packages of requirements-onnx.txt "
            "(pip install -r requirements-onnx.txt)"
        )

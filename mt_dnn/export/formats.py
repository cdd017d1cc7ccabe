"""The formats that a model is exported in, its ticket taken out: dense, compact, onnx."""

import copy
import importlib.util
import logging
import warnings
from pathlib import Path

import torch
import transformers
from torch import nn

from data_utils.errors import RunFailed, UserError
from data_utils.files import save_tensors, write_folder_whole
from data_utils.hub import hub_errors
from data_utils.saved_tasks import SavedTasks, read_saved_tasks
from mt_dnn.encoders.families import encoder_class, family_of
from mt_dnn.export.classifier import Stock, load_classifier
from mt_dnn.export.export_table import export_table
from mt_dnn.model import Model, count_parameters, save_model
from mt_dnn.tickets.masks import Mask, read_mask, saved_mask, write_mask
from mt_dnn.tickets.prune import kept_parts, prune

SAVED_AS = {"dense": "dense", "compact": "tickets", "onnx": "onnx"}
TABLE = "export.md"
ONE_FILE = 2**31 - 2**24  # bytes: more weights than that go into model.onnx.data, beside model.onnx
CLOSE = 1e-4  # logits of an export and of the model it was made from differ by rounding; more than this is no rounding


def export(folder, name, format, output):
    """Export task `name` of the saved model in `folder` to the folder `output`, whole or not at all; return a table, in Markdown,
    of dense, compact and this export, as it stands in the folder's export.md.

    Raises UserError where `folder` does not hold together, `output` holds something else than an export, or a package is
    missing; RunFailed where the export gives other outputs.
    """
    if format == "onnx":
        _refuse_missing_packages()
    refuse_to_replace(output, folder)
    saved, mask = read_saved_tasks(folder), read_mask(saved_mask(folder))
    if saved.format != "tickets":
        raise UserError(f"{folder}: a {saved.format} export, expected the folder of a run, or a compact export")
    original, ticket = load_classifier(folder, name, "cpu"), mask.tickets[name]
    task, tokenizer = original.task, original.tokenizer
    compact = take_out(original.model, task, ticket)
    dense = dense_classifier(folder, compact, task, ticket)
    own_mask, own_tasks = (
        Mask(mask.kind, mask.model, {name: ticket}, mask.provenance),
        SavedTasks(SAVED_AS[format], {name: task}, original.max_seq_len),
    )
    with write_folder_whole(output) as beside:
        if format == "compact":
            save_model(beside, compact, tokenizer, own_mask, own_tasks)
        else:
            if format == "dense" and not compact.token_types:
                tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
            tokenizer.save_pretrained(beside)
            write_mask(saved_mask(beside), own_mask)
            own_tasks.write(beside)
        if format == "dense":
            dense.config.save_pretrained(beside)
            save_tensors(
                beside / "model.safetensors",
                {key: value.contiguous() for key, value in dense.state_dict().items()},
                {"format": "pt"},
            )
        elif format == "onnx":
            write_onnx(beside / "model.onnx", compact, task)
        models = {"dense": Stock(dense), "compact": compact} | {format: load_classifier(beside, device="cpu").model}
        table, difference = export_table(models, original)
        if difference > CLOSE:
            raise RunFailed(
                f"{output}: logits differ by {difference:.1e} from those of {folder}, expected at most {CLOSE:.0e}; nothing was written"
            )
        (beside / TABLE).write_text(table, encoding="utf-8")
    return table


def take_out(model, task, ticket):
    """Return a Model of `task` alone, with its ticket taken out of the encoder; `model` may be just that already."""
    if len(model.heads) == 1:
        return model
    alone = Model(copy.deepcopy(model.encoder), [task])
    alone.heads.load_state_dict(
        {key: value for key, value in model.heads.state_dict().items() if key in alone.heads.state_dict()}
    )
    prune(alone.encoder, ticket)
    return alone


def dense_classifier(folder, model, task, ticket):
    """Return the library's classifier that gives the outputs of `model`, pruned by `ticket`: what is closed is there, and zero.

    A head whose values and output columns are zero adds nothing, nor does an FFN whose second layer is zero with its bias.
    """
    with hub_errors(folder, "a saved model", flag=""):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    config.id2label = dict(enumerate(task.kind.output_names(task.labels)))
    config.label2id = {label: number for number, label in config.id2label.items()}
    config.problem_type = task.kind.problem_type
    config.classifier_dropout = task.head_dropout
    whole = Model(encoder_class(config)(copy.deepcopy(config)), [task])
    parts, family = kept_parts(whole.encoder, ticket), family_of(config)
    state = {name: torch.zeros_like(value) for name, value in whole.encoder.state_dict().items()}
    for name, value in model.encoder.state_dict().items():
        if name in parts:
            dimension, units = parts[name]
            state[name].index_copy_(dimension, units, value)
        else:
            state[name] = value
    classifier = transformers.AutoModelForSequenceClassification.from_config(config)
    (head,) = model.heads.values()
    named = {
        f"{classifier.base_model_prefix}.{name}": value
        for name, value in state.items()
        if not name.startswith("pooler.")
    }
    for place, linear in ((family.pooler, model.encoder.pooler.dense), (family.head, head)):
        named |= {f"{place}.{name}": value for name, value in linear.state_dict().items()}
    classifier.load_state_dict(named)
    return classifier


class _Answers(nn.Module):
    """A Model for one task, as a function of tensors."""

    def __init__(self, model, task):
        super().__init__()
        self.model, self.task = model, task

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        return self.model(
            self.task, {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        )


def write_onnx(path, model, task):
    """Write `model` (pruned, of one task) to `path` as ONNX, for any number and length of rows: input_ids, attention_mask
    (1 at tokens, 0 at padding) and, where its family has them, token_type_ids, all (rows, tokens) int64, to logits (rows, outputs)."""
    inputs = {
        name: torch.ones(2, 7, dtype=torch.long)
        for name in ("input_ids", "attention_mask", *(["token_type_ids"] if model.token_types else []))
    }
    inputs["attention_mask"][1, 5:] = 0
    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens")}
    config = model.encoder.config
    attention, config._attn_implementation = (
        config._attn_implementation,
        "eager",
    )  # the exporter can't take every other apart
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it would say that torchvision is not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself
            torch.onnx.export(
                _Answers(model, task).eval(),
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


def refuse_to_replace(output, folder):
    """Raise UserError unless `output` is new, or an earlier export with nothing below it, other than the one in `folder` that is exported."""
    output = Path(output)
    if output.exists() and (
        output.resolve() == Path(folder).resolve()
        or not (output / TABLE).is_file()
        or any(path.is_dir() for path in output.iterdir())
    ):
        raise UserError(
            f"--output {output}: there is something else already, expected a new folder, or an earlier export to replace"
        )


def _refuse_missing_packages():
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format onnx: {', '.join(missing)} not installed, expected the packages of requirements-onnx.txt "
            "(pip install -r requirements-onnx.txt)"
        )

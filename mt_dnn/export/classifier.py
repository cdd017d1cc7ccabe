"""A trained model ready for texts, from a run's folder or any export of it."""

import dataclasses
import tempfile
from pathlib import Path

import torch
import transformers
from torch import nn

from data_utils.errors import UserError
from data_utils.hub import hub_errors, load_tokenizer
from data_utils.run_folder import RunFolder
from data_utils.saved_tasks import has_saved_tasks, read_saved_tasks
from data_utils.tasks import Layout
from data_utils.tokenized import TokenizedSplit, write_split
from data_utils.tsv import Row
from mt_dnn.encoders.families import longest_row, takes_token_types
from mt_dnn.model import load_model
from mt_dnn.runtime.machine import choose_device, choose_tokens_at_once
from mt_dnn.training.evaluate import decide, predict

BATCH_SIZE = 64
TOKENS = 2**14  # at once on a GPU


def load_classifier(
    folder: str | Path, task: str | None = None, device: str = "auto", precision: str = "auto"
) -> "Classifier":
    """Load the model that a run (train.py; rewind.py with --save_model) or an export (mt_dnn.export) left in `folder`.

    `task`: the name of one of its tasks; may be left out where it has one. `device`: as --device. `precision`: float32,
    bfloat16, or auto, in which a run was evaluated, so that its dev rows get its dev predictions (an export: float32).
    Raises UserError for a file that is missing, cut short, or does not fit the others.
    """
    folder = model_folder(folder)
    saved = read_saved_tasks(folder)
    task = choose_task(saved, task, folder)
    model, tokenizer = load_saved(folder, saved, choose_device(device)), load_tokenizer(folder, flag="")
    encoder = model.encoder
    if encoder and (len(tokenizer) > encoder.config.vocab_size or saved.max_seq_len > longest_row(encoder)):
        raise UserError(
            f"{folder}: a tokenizer of {len(tokenizer)} tokens and rows of up to {saved.max_seq_len}, expected at most the encoder's "
            f"{encoder.config.vocab_size} and {longest_row(encoder)}"
        )
    precision = saved.precision if precision == "auto" else precision
    return Classifier(model, task, tokenizer, saved.max_seq_len, precision)


def load_saved(folder, saved, device):
    """Load the model in `folder`, of which `saved` (SavedTasks) tells; an ONNX model always runs on the CPU."""
    tasks = list(saved.tasks.values())
    if saved.format == "tickets":
        return load_model(folder, tasks, device=device)
    return load_stock(folder, tasks).to(device) if saved.format == "dense" else load_onnx(folder, tasks)


def model_folder(folder):
    """Return where the model lies: in `folder` itself, or in the `model` of the run that it is; raise UserError if in neither."""
    for place in (Path(folder), RunFolder(folder).model):
        if has_saved_tasks(place):
            return place
    if RunFolder(folder).result.is_file():
        raise UserError(
            f"{folder}: a run without its model, expected one of train.py, or of rewind.py with --save_model (which does a finished run once more)"
        )
    raise UserError(f"{folder}: no model with a tasks.json, expected the folder of a run, or an export of it")


def choose_task(saved, name, folder):
    """Return the Task `name` of `saved` (SavedTasks), or its only one; raise UserError if that does not say which."""
    if name not in saved.tasks and (name or len(saved.tasks) > 1):
        raise UserError(
            f"{folder}: {f'no task {name!r}' if name else 'several tasks'}, expected --task to be one of: {', '.join(saved.tasks)}"
        )
    return saved.tasks[name or next(iter(saved.tasks))]


class Classifier:
    """Call it with texts. `model(task, batch)`: of which kind ever; `task`: the Task; `precision`: float32 or bfloat16."""

    def __init__(self, model, task, tokenizer, max_seq_len, precision="float32"):
        self.model, self.tokenizer, self.max_seq_len = model.eval(), tokenizer, max_seq_len
        self.precision = precision
        self.task = dataclasses.replace(task, splits={"input": Layout("", task.text_names, None, None)})

    def __call__(self, texts):
        """Return [(label, its probability)] for `texts`, a list of sentences, or of pairs of them; for a regression [value].

        Raises ValueError for another number of sentences than the task has.
        """
        rows = [
            Row((text,) if isinstance(text, str) else tuple(text), None)
            for text in ([texts] if isinstance(texts, str) else texts)
        ]
        if any(len(row.texts) != len(self.task.text_names) for row in rows):
            raise ValueError(
                f"each text of '{self.task.name}' is {' and '.join(self.task.text_names)}, expected as many sentences"
            )
        return answers(self.task, self.outputs(rows)) if rows else []

    def outputs(self, rows, progress=lambda n: None):
        """Return the outputs, (rows, outputs) float32, for any number of tsv.Row. Tokens lie on disk meanwhile, so memory does not grow with the texts."""
        with tempfile.TemporaryDirectory() as folder:
            write_split(
                Path(folder) / f"{self.task.name}_input",
                iter(rows),
                self.task,
                "input",
                self.tokenizer,
                self.max_seq_len,
                {},
                {},
                progress,
            )
            split, device = TokenizedSplit(folder, self.task, "input"), self.model.device
            return predict(
                self.model,
                self.task,
                split,
                BATCH_SIZE,
                self.precision,
                choose_tokens_at_once(0, device) or TOKENS,
            )


def answers(task, outputs):
    """Turn outputs (rows, outputs) into [(label, its probability)], or for a regression into [value]."""
    predicted = decide(task, outputs).tolist()
    if task.kind == "regression":
        return predicted
    probabilities = torch.from_numpy(outputs).softmax(1).max(1).values.tolist()
    return [(task.labels[choice], probability) for choice, probability in zip(predicted, probabilities)]


class Stock(nn.Module):
    """A classifier of the library, called as a Model is."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier
        self.inputs = [
            "input_ids",
            "attention_mask",
            *(["token_type_ids"] if takes_token_types(classifier.config) else []),
        ]

    @property
    def encoder(self):
        return self.classifier.base_model

    @property
    def device(self):
        return self.classifier.device

    def forward(self, task, batch):
        return self.classifier(**{name: batch[name] for name in self.inputs if name in batch}).logits


def load_stock(folder, tasks):
    """Load a `dense` export, as plain transformers does; raise UserError unless its weights are whole."""
    with hub_errors(folder, "a classifier of the library", flag=""):
        classifier, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    wrong = [*report["missing_keys"], *report["unexpected_keys"], *(key[0] for key in report["mismatched_keys"])]
    if wrong or [classifier.config.num_labels] != [task.n_outputs for task in tasks]:
        raise UserError(
            f"{folder}: model.safetensors, config.json and tasks.json do not fit together ({', '.join(sorted(wrong)[:1]) or 'num_labels'}), expected an export of one model"
        )
    return Stock(classifier)


class Onnx(nn.Module):
    """An ONNX model, called as a Model is."""

    device, encoder = torch.device("cpu"), None

    def __init__(self, session, path):
        super().__init__()
        self.session, self.path, self.inputs = session, path, [entry.name for entry in session.get_inputs()]

    @property
    def megabytes(self):
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*")) / 1e6

    def forward(self, task, batch):
        batch = {"attention_mask": torch.ones_like(batch["input_ids"]), **batch}
        with hub_errors(self.path.parent, "a model.onnx that fits the tokenizer beside it", flag=""):
            (outputs,) = self.session.run(None, {name: batch[name].numpy() for name in self.inputs})
        return torch.from_numpy(outputs)


def load_onnx(folder, tasks):
    """Load an `onnx` export; raise UserError if it is no whole model, or onnxruntime is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"{folder}: onnxruntime not installed, expected the packages of requirements-onnx.txt "
            "(pip install -r requirements-onnx.txt)"
        ) from None
    with hub_errors(folder, "model.onnx, as mt_dnn.export writes it", flag=""):
        path = Path(folder) / "model.onnx"
        model = Onnx(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), path)
        if [model.session.get_outputs()[0].shape[1]] != [task.n_outputs for task in tasks]:
            raise UserError(f"{folder}: model.onnx and tasks.json do not fit together, expected an export of one model")
    return model

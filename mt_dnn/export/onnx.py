"""The format `onnx`: model.onnx, for onnxruntime."""

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from data_utils.hub import hub_errors
from data_utils.tasks import Task
from mt_dnn.checksums import refuse_damaged_files
from mt_dnn.encoders.encoder import TaskModel
from mt_dnn.export.saved_model import SavedModel
from mt_dnn.model import Model, count_parameters

if TYPE_CHECKING:
    import onnxruntime  # pyright: ignore[reportMissingImports]

ONE_FILE = 2**31 - 2**24  # bytes: more weights than that go into model.onnx.data, beside model.onnx


def refuse_missing_packages(where: str | Path, *names: str) -> None:
    """Raise UserError, naming them, if some of these packages are not installed. `where`: starts the message."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{where}: {', '.join(missing)} not installed, expected the packages of requirements-onnx.txt "
            "(pip install -r requirements-onnx.txt)"
        )


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


class OnnxClassifier(TaskModel):
    """An ONNX model, called as a Model is. It computes on the CPU, in float32, and has no `encoder`."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device("cpu")

    def __init__(self, session: "onnxruntime.InferenceSession", path: Path) -> None:
        """`session`: of the file `path`."""
        super().__init__()
        self.session, self.path, self.inputs = session, path, [entry.name for entry in session.get_inputs()]

    @property
    def megabytes(self) -> float:
        """The size of model.onnx and what lies beside it, in 10^6 bytes."""
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*")) / 1e6

    def forward(self, task: Task, batch: dict[str, Tensor]) -> Tensor:
        """Return the logits, (batch, outputs), of its one task."""
        batch = {"attention_mask": torch.ones_like(batch["input_ids"]), **batch}
        with hub_errors(self.path.parent, "a model.onnx that fits the tokenizer beside it", flag=""):
            (outputs,) = self.session.run(None, {name: batch[name].numpy() for name in self.inputs})
        return torch.from_numpy(outputs)


def load_onnx(saved: SavedModel) -> OnnxClassifier:
    """Load an `onnx` export; raise UserError if it is no whole model, or onnxruntime is not installed."""
    folder = saved.folder
    refuse_missing_packages(folder, "onnxruntime")
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"{folder}: onnxruntime can't be loaded ({error}), expected one that runs here") from None
    refuse_damaged_files(folder)
    with hub_errors(folder, "model.onnx, as mt_dnn.export writes it", flag=""):
        path = folder / "model.onnx"
        model = OnnxClassifier(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), path)
        if [model.session.get_outputs()[0].shape[1]] != [task.n_outputs for task in saved.tasks.values()]:
            raise UserError(f"{folder}: model.onnx and tasks.json do not fit together, expected an export of one model")
    return model

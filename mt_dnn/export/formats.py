"""Export a task of a saved model, without the units that its ticket closes: zeroed, compact or onnx."""

import copy
from pathlib import Path

from data_utils.errors import RunFailed, UserError
from data_utils.files import write_folder_whole
from data_utils.tasks import Task
from mt_dnn.checksums import write_checksums
from mt_dnn.export.classifier import classifier_of, load_classifier
from mt_dnn.export.export_table import export_table
from mt_dnn.export.onnx import refuse_missing_packages, write_onnx
from mt_dnn.export.saved_model import SavedModel
from mt_dnn.export.zeroed import HFClassifier, write_zeroed, zeroed_classifier
from mt_dnn.model import Model
from mt_dnn.model_files import write_description, write_weights
from mt_dnn.saved_tasks import SavedTasks
from mt_dnn.tickets.masks import Mask
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.ticket import Ticket

SAVED_AS = {"zeroed": "zeroed", "compact": "tickets", "onnx": "onnx"}
TABLE = "export.md"
CLOSE = 1e-4  # logits of an export and of its model differ by rounding, see export_table; if by more, it is a fault


def export(saved: SavedModel, name: str, file_format: str, output: Path) -> str:
    """Export task `name` of `saved` to the folder `output`, whole or not at all.

    `file_format`: a key of SAVED_AS. Returns a table in Markdown of the zeroed model, the compact one and this export,
    which is in the folder's export.md too.

    Raises UserError where the saved model does not hold together, `output` holds something else than an export, or a
    package is missing; RunFailed where the export gives other outputs than the model.
    """
    if file_format == "onnx":
        refuse_missing_packages("--format onnx", "onnx", "onnxscript", "onnxruntime")
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
            write_zeroed(beside, zeroed)
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


def refuse_to_replace(output: Path, saved: SavedModel) -> None:
    """Raise UserError unless `output` is new or empty, or an earlier export without folders in it, other than `saved`
    itself."""
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists() and (
        output.resolve() == saved.folder.resolve()
        or not (output / TABLE).is_file()
        or any(path.is_dir() for path in output.iterdir())
    ):
        raise UserError(
            f"--output {output}: there is something else already, expected a new or an empty folder, "
            "or an earlier export to replace"
        )

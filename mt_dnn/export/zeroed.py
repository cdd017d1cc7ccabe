"""The format `zeroed`: a classifier of the library, in which what the ticket closes is there, and zero."""

import copy
from pathlib import Path
from typing import cast

import torch
import transformers
from torch import Tensor

from data_utils.errors import UserError
from data_utils.files import save_tensors
from data_utils.hub import hub_errors, weight_types
from data_utils.tasks import Task
from mt_dnn.checksums import refuse_damaged_files
from mt_dnn.encoders.encoder import Encoder, TaskModel
from mt_dnn.encoders.families import encoder_class, family_of, refuse_more_layers, takes_token_types
from mt_dnn.encoders.float32 import layers_alone_in_autocast
from mt_dnn.export.saved_model import SavedModel
from mt_dnn.model import Model
from mt_dnn.model_files import refuse_integers, refuse_nonfinite_weights
from mt_dnn.tickets.prune import kept_slices
from mt_dnn.tickets.ticket import Ticket


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
    whole = encoder_class(config)(copy.deepcopy(config))
    slices, family = kept_slices(whole, ticket), family_of(config)
    state = {name: torch.zeros_like(value) for name, value in whole.state_dict().items()}
    for name, value in model.encoder.state_dict().items():
        if name in slices:
            dim, index = slices[name]
            state[name].index_copy_(dim, index, value)
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


def write_zeroed(folder: Path, classifier: transformers.PreTrainedModel) -> None:
    """Write weights and config.json of zeroed_classifier() into `folder`, as plain transformers loads them."""
    classifier.config.architectures = [type(classifier).__name__]
    classifier.config.save_pretrained(folder)
    save_tensors(folder / "model.safetensors", classifier.state_dict(), {"format": "pt"})


class HFClassifier(TaskModel):
    """A classifier of the library (..ForSequenceClassification), called as a Model is."""

    def __init__(self, classifier: transformers.PreTrainedModel) -> None:
        super().__init__()
        self.classifier = classifier
        layers_alone_in_autocast(classifier, self.encoder.encoder)
        types = ["token_type_ids"] if takes_token_types(classifier.config) else []
        self.inputs = ["input_ids", "attention_mask", *types]

    @property
    def encoder(self) -> Encoder:
        """The encoder, whole."""
        return cast(Encoder, self.classifier.base_model)

    def forward(self, task: Task, batch: dict[str, Tensor]) -> Tensor:
        """Return the logits, (batch, outputs), of its one task."""
        return self.classifier(**{name: batch[name] for name in self.inputs if name in batch}).logits


def load_zeroed(saved: SavedModel) -> HFClassifier:
    """Load a `zeroed` export as plain transformers does; raise UserError unless its weights are whole."""
    folder = saved.folder
    refuse_damaged_files(folder)
    with hub_errors(folder, "a classifier of the library", flag=""):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        types = weight_types(folder)
        refuse_more_layers(config, types)
        refuse_integers(types, folder)
        classifier, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    wrong = [*report["missing_keys"], *report["unexpected_keys"], *(key[0] for key in report["mismatched_keys"])]
    if wrong or [classifier.config.num_labels] != [task.n_outputs for task in saved.tasks.values()]:
        raise UserError(
            f"{folder}: model.safetensors, config.json and tasks.json do not fit together "
            f"({', '.join(sorted(wrong)[:1]) or 'num_labels'}), expected an export of one model"
        )
    refuse_nonfinite_weights(classifier.state_dict(), folder)
    return HFClassifier(classifier)

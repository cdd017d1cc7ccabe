"""Every flag, its default and its help: one dataclass per group; a run saves them in its config.json."""

import argparse
import dataclasses
import math
import sys
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import UserError
from data_utils.json_file import read_json


def flag(default, help, **more):
    """A dataclass field that becomes a command-line flag; `more` goes to argparse's add_argument."""
    start = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return dataclasses.field(**start, metadata={"help": help, **more})


def parse_options(description, *groups):
    """Parse the command line; return one object per dataclass in `groups`, in their order.

    Nothing heavy is imported before this, so that --help answers at once.
    """
    module = sys.modules["__main__"].__spec__  # of what was called by python -m
    parser = Parser(description=description, allow_abbrev=False, prog=f"python -m {module.name}" if module else None)
    for group in groups:
        section = parser.add_argument_group(group.__doc__.split("\n")[0].rstrip("."))
        for field in dataclasses.fields(group):
            extra, default = (
                dict(field.metadata),
                field.default_factory() if field.default is dataclasses.MISSING else field.default,
            )
            if field.type is bool:
                extra["action"] = "store_true"
            elif default is not None:
                extra["help"] += f" (default: {' '.join(map(str, default)) if isinstance(default, list) else default})"
            if extra.pop("positional", False):
                section.add_argument(field.name, **extra)
            else:
                section.add_argument(f"--{field.name}", default=default, **extra)
    given = vars(parser.parse_args())
    return [group(**{field.name: given[field.name] for field in dataclasses.fields(group)}) for group in groups]


class Parser(argparse.ArgumentParser):
    """argparse, whose complaint is one line."""

    def error(self, message):
        raise UserError(f"{message}; --help lists the flags")


def number(kind, low, high=math.inf, above=False):
    """An argparse type: a number from `low` (with `above`: greater than `low`) to `high`."""

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low < value if above else low <= value) or not value <= high or math.isinf(value):
            upper = "" if high == math.inf else f" up to {high}"
            raise argparse.ArgumentTypeError(
                f"{text!r}, expected {'a whole number' if kind is int else 'a number'} "
                f"{'above' if above else 'from'} {low}{upper}"
            )
        return value

    return convert


def names(text):
    """An argparse type: names separated by commas, at least one."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r}, expected names separated by commas, each once")
    return found


PATHS = {"data_dir", "task_def", "init_checkpoint"}
BEFORE_THEY_WERE_OPTIONS = {"exact_sharing": False}

COUNT = number(int, 1)
SEED = number(int, 0, 2**63 - 1)
FRACTION = number(float, 0, 1, above=True)


def fractions(text):
    """An argparse type: a fraction, or several separated by commas, one for each task."""
    found = [FRACTION(part) for part in text.split(",")]
    return found[0] if len(found) == 1 else found


@dataclass
class PreproOptions:
    """What to tokenize."""

    raw_dir: str = flag("data/glue", "folder of the raw files, as download.sh lays them out")
    data_dir: str = flag("data/tokenized/bert-base-uncased", "folder for the tokenized splits")
    task_def: str = flag("experiments/glue/glue_task_def.yml", "task entries")
    tasks: list = flag(None, "only these tasks, separated by commas (all of the task file if left out)", type=names)
    init_checkpoint: str = flag("bert-base-uncased", "whose tokenizer: a hub name or a local folder")
    max_seq_len: int = flag(512, "tokens of a row at the most, special tokens included", type=number(int, 8))
    skip_bad_rows: bool = flag(
        False, "drop and count rows that do not fit the task entry, where otherwise the first one stops"
    )


@dataclass
class DataOptions:
    """Data."""

    data_dir: str = flag("data/tokenized/bert-base-uncased", "folder of tokenized splits, made by prepro.py")
    task_def: str = flag("experiments/glue/glue_task_def.yml", "task entries")
    train_datasets: list = flag(
        None, "tasks to train on, separated by commas; several share one encoder", type=names, required=True
    )
    test_datasets: list = flag(
        None,
        "dev sets to evaluate on, separated by commas, such as mnli_matched,mnli_mismatched "
        "(all of the tasks if left out)",
        type=names,
    )
    holdout: float = flag(
        0.0,
        "random part of each task's training rows, the same for all seeds, that is not trained on but evaluated beside dev, "
        "so that the super ticket can be chosen there",
        type=number(float, 0, 0.9),
    )
    train_fraction: float = flag(
        1.0,
        "random part of each task's (other) training rows to use, drawn from the seed; a smaller part lies inside a "
        "larger one; one number for all tasks, or one for each of --train_datasets, separated by commas",
        type=fractions,
    )

    def __post_init__(self):
        if isinstance(self.train_fraction, list) and len(self.train_fraction) != len(self.train_datasets):
            raise UserError(
                f"--train_fraction: {len(self.train_fraction)} numbers, expected one, "
                f"or {len(self.train_datasets)}, as many as --train_datasets has tasks"
            )

    def fraction_of(self, task: str) -> float:
        """Return the part of the training rows of `task` to use."""
        if not isinstance(self.train_fraction, list):
            return self.train_fraction
        return self.train_fraction[self.train_datasets.index(task)]


@dataclass
class ModelOptions:
    """Model."""

    init_checkpoint: str = flag(
        "bert-base-uncased",
        "pre-trained BERT, RoBERTa, XLM-R, ELECTRA or MPNet: a hub name or a local folder in the hub's format",
    )
    encoder_dropout: float = flag(
        0.1, "dropout in the encoder, on hidden states and attention weights", type=number(float, 0, 0.99)
    )


@dataclass
class OptimizationOptions:
    """Optimization."""

    epochs: int = flag(3, "passes over the training rows", type=COUNT)
    batch_size: int = flag(32, "rows per batch, all of one task; several processes share them", type=COUNT)
    grad_accumulation_step: int = flag(1, "batches per update", type=COUNT)
    optimizer: str = flag("adamax", "update rule, with decoupled weight decay", choices=["adamax", "adamw"])
    learning_rate: float = flag(5e-5, "peak learning rate", type=number(float, 0, above=True))
    weight_decay: float = flag(0.01, "decay of weights; biases and LayerNorm have none", type=number(float, 0))
    warmup: float = flag(
        0.1,
        "part of the updates in which the rate grows linearly to its peak, before it falls linearly to 0",
        type=number(float, 0, 1),
    )
    global_grad_clipping: float = flag(1.0, "largest norm of the gradient", type=number(float, 0, above=True))


@dataclass
class MachineOptions:
    """Machine and log (these do not change what is computed, beyond rounding)."""

    device: str = flag("auto", "where to run; auto takes the GPU if there is one", choices=["auto", "cuda", "cpu"])
    precision: str = flag(
        "auto",
        "what the encoder's layers compute in; auto takes bfloat16 where the hardware multiplies it natively (CUDA, CPUs "
        "with AMX); pooler, task heads, loss and importance are in float32 always",
        choices=["auto", "bfloat16", "float32"],
    )
    attention: str = flag("sdpa", "attention code of the library", choices=["sdpa", "eager"])
    plain: bool = flag(
        False,
        "compute the same in the simplest way, and more slowly: the library's own encoder, dropout and embedding, whole "
        "batches, torch's autocast and optimizers; to compare with",
    )
    batch_size_eval: int = flag(64, "rows per batch in evaluation", type=COUNT)
    tokens_at_once: int = flag(
        0,
        "compute a longer batch in parts of so many tokens, padding included: takes less memory "
        "(0: 2048 on a CPU, a whole batch on a GPU)",
        type=number(int, 0),
    )
    log_per_updates: int = flag(20, "updates between two lines of the log", type=COUNT)
    checkpoint_minutes: float = flag(
        10.0,
        "minutes between two checkpoints, written after a line of the log; an epoch's end brings one too, "
        "if the last is a tenth of that ago",
        type=number(float, 0),
    )


@dataclass
class MaskOptions:
    """Importance and masks."""

    importance_per: str = flag(
        "example",
        "take the absolute value of a gate's gradient per example (the paper's equation) or per "
        "token (Michel et al. 2019)",
        choices=["example", "token"],
    )
    sparsities: list = flag(
        [f"{percent / 100:.2f}" for percent in range(5, 101, 5)],
        "parts of the heads and FFNs to close; 0.30:0.25 sets the two apart",
        nargs="+",
        type=str,
    )
    min_heads_per_layer: int = flag(1, "the best heads of every layer that stay open", type=COUNT)


@dataclass
class TrainOptions:
    """Steps and output of train.py."""

    output_dir: str = flag(None, "folder for the model, importance scores, masks and log", required=True)
    seed: int = flag(2018, "seed of the task head, dropout, the order of the rows, and the random masks", type=SEED)
    do_train: bool = flag(False, "fine-tune (skipped where it is finished)")
    do_mask: bool = flag(
        False, "score heads and FFNs with the fine-tuned model and write winning, losing and random masks"
    )


@dataclass
class RewindOptions:
    """Tickets and output of rewind.py."""

    masks: list = flag(None, "mask files, folders of them (searched through), or patterns", nargs="+", required=True)
    sparsities: list = flag(
        None, "only the masks at these levels, and the dense one (all if left out)", nargs="+", type=str
    )
    output_dir: str = flag(None, "folder for one folder per ticket and seed", required=True)
    seeds: list = flag([2018], "one run per ticket and seed", nargs="+", type=SEED)
    parallel: str = flag(
        "batches",
        "what several processes (torchrun) share: every batch, or the runs, each of which one process does",
        choices=["batches", "runs"],
    )
    keep_gates: bool = flag(
        False, "train the whole encoder with closed gates, where otherwise the ticket is taken out of the weights"
    )
    exact_sharing: bool = flag(
        False,
        "several tasks: leave heads that a task's ticket closes exactly as they are in its updates, where otherwise the "
        "momentum of other tasks' updates still moves them, as in the paper's code",
    )
    save_model: bool = flag(False, "keep each run's trained model, for mt_dnn.export and mt_dnn.predict")


@dataclass
class MergeOptions:
    """Super tickets and output of construct_mtl_mask.py."""

    model: str = flag("base", "whose published super tickets and default folder to take", choices=["base", "large"])
    super_tickets: list = flag(
        None,
        "your own: files that say how many heads and FFNs each task's super ticket closes, as report.py writes them "
        "(experiments/glue/super_tickets_<model>.yml if left out)",
        nargs="+",
    )
    checkpoints: str = flag(
        None, "folder with train.py's output for every task (checkpoints/bert-<model>-uncased if left out)"
    )
    kind: str = flag(
        "winning",
        "kind of tickets with these numbers; random and losing ones are controls",
        choices=["winning", "random", "losing"],
    )
    output: str = flag(None, "mask to write (<checkpoints>/mtdnn/masks/<kind>/super_tickets.json if left out)")


@dataclass
class ExportOptions:
    """What to export."""

    run: str = flag(None, "folder of a finished run: train.py's, or rewind.py's with --save_model", positional=True)
    format: str = flag(
        "dense",
        "dense: a stock checkpoint for plain transformers, closed heads and FFNs at zero; compact: without them, small and fast, for "
        "mt_dnn.export.classifier; onnx: the compact one for onnxruntime",
        choices=["dense", "compact", "onnx"],
    )
    output: str = flag(
        None, "folder to write (<run>/export/<format> if left out; with several tasks a folder for each below it)"
    )


@dataclass
class PredictOptions:
    """What to predict."""

    runs: list = flag(
        None, "folder of a finished run or of an export; with --glue_format several", positional=True, nargs="+"
    )
    task: str = flag(None, "which of the model's tasks, where it has several")
    input: str = flag(
        None,
        "tab-separated rows: the texts alone, or more columns and a header that names those of the texts (standard input if left out)",
    )
    output: str = flag(None, "file to write (standard output if left out)")
    device: str = flag("auto", "where to run; auto takes the GPU if there is one", choices=["auto", "cuda", "cpu"])
    precision: str = flag(
        "auto",
        "what the encoder's layers compute in; auto takes what the run was trained and evaluated in (an export: float32)",
        choices=["auto", "bfloat16", "float32"],
    )
    glue_format: bool = flag(
        False,
        "predict GLUE's test sets of the models' tasks instead, and write them to --output as a zip for its server",
    )
    raw_dir: str = flag("data/glue", "for --glue_format: folder of the raw files, as download.sh lays them out")
    task_def: str = flag("experiments/glue/glue_task_def.yml", "for --glue_format: task entries")


def to_dict(*options):
    """All options as one flat dictionary, for a run's config.json."""
    return {key: value for group in options for key, value in dataclasses.asdict(group).items()}


def read_run_config(path: str | Path) -> dict:
    """Return what a run's config.json holds; options that were not there yet when it was made have the value that they had then."""
    return {**BEFORE_THEY_WERE_OPTIONS, **read_json(path, "the options of a run")}


def refuse_other_config(folder, saved, wanted):
    """Raise UserError, naming the keys, if the run in `folder` was made with other options than asked for now.

    Where data and encoder lie may differ; what they are is compared by its name and fingerprint.
    """
    differing = [
        f"{key} {saved.get(key)!r}, now {value!r}"
        for key, value in wanted.items()
        if key not in PATHS and saved.get(key) != value
    ]
    if differing:
        raise UserError(
            f"{folder}: made with {'; '.join(differing)}; take another --output_dir (OUTPUT in the scripts), or remove that folder to run anew"
        )

"""Every flag, its default and its help: one dataclass per group. A run saves its options in its config.json."""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from data_utils.errors import UserError
from data_utils.json_file import read_json
from data_utils.run_folder import DEFAULT_CRITERION


def flag(default: Any, help_text: str, **more: Any) -> Any:
    """Return a dataclass field that becomes a command-line flag.

    `more` goes to argparse's add_argument, except `name`, the flag's name where it is not the field's, and
    `positional=True`.
    """
    metadata = {"help": help_text, **more}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def parse_options(description: str | None, *groups: type) -> list[Any]:
    """Parse the command line; return one object per dataclass in `groups`, in their order.

    Nothing heavy is imported before this, so that --help answers at once.

    Raises UserError for a flag or a value that is wrong.
    """
    module = sys.modules["__main__"].__spec__  # of what was called by python -m
    prog = f"python -m {module.name.removesuffix('.__main__')}" if module else None
    parser = Parser(description=description, allow_abbrev=False, prog=prog)
    for group in groups:
        section = parser.add_argument_group((group.__doc__ or "").split("\n")[0].rstrip("."))
        for field in dataclasses.fields(group):
            more = dict(field.metadata)
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            if field.type is bool:
                more["action"] = "store_true"
            elif default is not None:
                more["help"] += f" (default: {' '.join(map(str, default)) if isinstance(default, list) else default})"
            name = more.pop("name", field.name)
            if more.pop("positional", False):
                section.add_argument(field.name, metavar=name.upper(), **more)
            else:
                section.add_argument(f"--{name}", dest=field.name, default=default, **more)
    for argument in sys.argv[1:]:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):  # how Python shows bytes that are not UTF-8
            raise UserError(f"{argument!r}: not UTF-8, expected names that can be written into JSON and reports")
    given = vars(parser.parse_args())
    return [group(**{field.name: given[field.name] for field in dataclasses.fields(group)}) for group in groups]


class Parser(argparse.ArgumentParser):
    """argparse, whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError; where another command has the flag, name that command."""
        hint = "--help lists the flags"
        if message.startswith("unrecognized arguments: --"):
            name = message.split()[2].removeprefix("--").split("=")[0]
            for command, (variable, groups) in ALONE.items():
                if any(name == field.name for group in groups for field in dataclasses.fields(group)):
                    hint = f"--{name} is a flag of {command} ({variable} in the scripts)"
        raise UserError(f"{message}; {hint}")


def number(kind: type[int] | type[float], low: float, high: float = math.inf, above: bool = False) -> Callable:
    """Return an argparse type: a number from `low` (with `above`: greater than `low`) to `high`."""

    def convert(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low < value if above else low <= value) or not value <= high or math.isinf(value):
            upper = "" if high == math.inf else f" up to {high}"
            raise argparse.ArgumentTypeError(
                f"{text[:80]!r}, expected {'a whole number' if kind is int else 'a number'} "
                f"{'above' if above else 'from'} {low}{upper}"
            )
        return value

    return convert


def names(text: str) -> list[str]:
    """An argparse type: names separated by commas, at least one, each once."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r}, expected names separated by commas, each once")
    return found


def path(text: str) -> str:
    """An argparse type: a file or folder. An empty one would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r}, expected the name of a file or folder")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a name in UTF-8") from None
    return text


COUNT = number(int, 1)
SEED = number(int, 0, 2**63 - 1)
FRACTION = number(float, 0, 1, above=True)


def fractions(text: str) -> float | list[float]:
    """An argparse type: a fraction, or several separated by commas, one for each task."""
    found = [FRACTION(part) for part in text.split(",")]
    return found[0] if len(found) == 1 else found


@dataclass
class PreproOptions:
    """What to tokenize."""

    raw_dir: str = flag("data/glue", "folder of the raw files, as download.sh lays them out", type=path)
    data_dir: str = flag("data/tokenized/bert-base-uncased", "folder to write the tokenized splits to", type=path)
    task_def: str = flag("experiments/glue/glue_task_def.yml", "YAML file that describes the tasks", type=path)
    tasks: list[str] | None = flag(
        None, "tokenize only these tasks, separated by commas (default: all tasks of the YAML file)", type=names
    )
    init_checkpoint: str = flag(
        "bert-base-uncased", "encoder whose tokenizer to use: a hub name or a local folder", type=path
    )
    max_seq_len: int = flag(
        512, "cut rows to this many tokens, special tokens included", type=number(int, 8, 2**31 - 1)
    )
    skip_bad_rows: bool = flag(False, "drop and count bad rows; without this flag the first bad row stops the command")


@dataclass
class DataOptions:
    """Data."""

    data_dir: str = flag(
        "data/tokenized/bert-base-uncased", "folder of the tokenized splits that prepro.py wrote", type=path
    )
    task_def: str = flag("experiments/glue/glue_task_def.yml", "YAML file that describes the tasks", type=path)
    train_datasets: list[str] = flag(
        None,
        "task to train on, or several tasks, separated by commas, that share one encoder",
        type=names,
        required=True,
    )
    test_datasets: list[str] | None = flag(
        None,
        "dev sets to evaluate on, separated by commas, such as mnli_matched,mnli_mismatched "
        "(default: all dev sets of the tasks)",
        type=names,
    )
    holdout: float = flag(
        0.0,
        "fraction of each task's training rows to hold out. These rows are drawn at random, the same for all seeds. "
        "No run trains on them; every run is evaluated on them as on dev, so that a super ticket can be chosen "
        "without dev",
        type=number(float, 0, 0.9),
    )
    train_fraction: float | list[float] = flag(
        1.0,
        "fraction of each task's training rows to train on (of those that are not held out), drawn from the seed. "
        "Smaller fractions lie inside larger ones. One number for all tasks, or one for each, separated by commas, in "
        "the order of --train_datasets",
        type=fractions,
    )

    def __post_init__(self) -> None:
        if isinstance(self.train_fraction, list) and len(self.train_fraction) != len(self.train_datasets):
            raise UserError(
                f"--train_fraction: {len(self.train_fraction)} numbers, expected one, "
                f"or {len(self.train_datasets)}, as many as --train_datasets has tasks"
            )

    def fraction_of(self, task: str) -> float:
        """Return the fraction of the training rows of `task` to use."""
        if not isinstance(self.train_fraction, list):
            return self.train_fraction
        return self.train_fraction[self.train_datasets.index(task)]


@dataclass
class ModelOptions:
    """Model."""

    init_checkpoint: str = flag(
        "bert-base-uncased",
        "pre-trained encoder, of the family of BERT, RoBERTa, XLM-R, ELECTRA or MPNet: a hub name, or a local folder "
        "in the hub's format",
        type=path,
    )
    encoder_dropout: float = flag(
        0.1, "dropout in the encoder, on hidden states and on attention weights", type=number(float, 0, 0.99)
    )


@dataclass
class OptimizationOptions:
    """Optimization."""

    epochs: int = flag(3, "passes over the training rows", type=COUNT)
    batch_size: int = flag(
        32, "rows per batch. A batch has rows of one task; several processes share its rows", type=COUNT
    )
    grad_accumulation_step: int = flag(1, "batches per update of the weights", type=COUNT)
    optimizer: str = flag("adamax", "optimizer; the weight decay is decoupled", choices=["adamax", "adamw"])
    learning_rate: float = flag(5e-5, "learning rate at its peak, after the warm-up", type=number(float, 0, above=True))
    weight_decay: float = flag(0.01, "weight decay; biases and LayerNorm weights do not decay", type=number(float, 0))
    warmup: float = flag(
        0.1,
        "fraction of the updates in which the learning rate grows linearly from 0 to its peak. Then it falls linearly "
        "to 0",
        type=number(float, 0, 1),
    )
    global_grad_clipping: float = flag(
        1.0, "clip the gradient to this norm, over all weights", type=number(float, 0, above=True)
    )


@dataclass
class MachineOptions:
    """Machine and log (these do not change what is computed, beyond rounding)."""

    device: str = flag("auto", "where to compute; auto is the GPU if there is one", choices=["auto", "cuda", "cpu"])
    precision: str = flag(
        "auto",
        "what the encoder's layers compute in: bfloat16 or float32. auto is bfloat16 where the hardware multiplies it "
        "natively (most GPUs, CPUs with AMX). Pooler, task heads, loss and importance are always in float32",
        choices=["auto", "bfloat16", "float32"],
    )
    attention: str = flag("sdpa", "attention code of the transformers library", choices=["sdpa", "eager"])
    plain: bool = flag(
        False,
        "compute the same in the simplest way, and more slowly: the library's own encoder, dropout and embedding, "
        "whole batches, torch's autocast and optimizers; to compare with",
    )
    batch_size_eval: int = flag(64, "rows per batch in evaluation", type=COUNT)
    tokens_at_once: int = flag(
        0,
        "compute a batch in parts of at most this many tokens, padding included, to save memory. 0 is 2048 on a CPU "
        "and the whole batch on a GPU",
        type=number(int, 0),
    )
    log_per_updates: int = flag(20, "write a line of the log after this many updates", type=COUNT)
    checkpoint_minutes: float = flag(
        10.0,
        "write a checkpoint after this many minutes, together with the next line of the log. At the end of an epoch "
        "one is written if the last is at least a tenth of this time old",
        type=number(float, 0),
    )


@dataclass
class MaskOptions:
    """Importance and masks."""

    criterion: str = flag(
        DEFAULT_CRITERION,
        "how heads and FFNs are scored, by a name of mt_dnn/tickets/criteria.py: example (gate's gradient per example, "
        "the paper's equation), token (per token, as Michel et al. 2019 and the paper's code), loss (rise of the loss "
        "when the unit is closed) or magnitude (size of the unit's weights)",
    )
    sparsities: list[str] = flag(
        [f"{percent / 100:.2f}" for percent in range(5, 101, 5)],
        "write masks at these sparsities, the fraction of the heads and of the FFNs that is closed. 0.30:0.25 closes "
        "30 %% of the heads and 25 %% of the FFNs",
        nargs="+",
        type=str,
    )
    min_heads_per_layer: int = flag(1, "keep at least this many heads open in every layer, the best ones", type=COUNT)


@dataclass
class TrainOptions:
    """Steps and output of train.py."""

    output_dir: str = flag(
        None, "folder to write the model, the importance scores, the masks and the log to", type=path, required=True
    )
    seed: int = flag(
        2018, "seed of the task head, of dropout, of the order of the rows, and of the random masks", type=SEED
    )
    do_train: bool = flag(False, "fine-tune the model; skipped if it is finished")
    do_mask: bool = flag(
        False, "score heads and FFNs with the fine-tuned model, and write winning, random and losing masks"
    )


@dataclass
class RewindOptions:
    """Tickets and output of rewind.py."""

    masks: list[str] = flag(
        None,
        "masks to rewind: files, folders (with all masks below them), or patterns such as 'masks/*/heads_1*.json'",
        nargs="+",
        type=path,
        required=True,
    )
    sparsities: list[str] | None = flag(
        None, "rewind only the masks at these sparsities, and the dense one (default: all masks)", nargs="+", type=str
    )
    tickets_of: str | None = flag(
        None,
        "train the task under the tickets that the masks have for this other task (default: under its own tickets)",
    )
    output_dir: str = flag(
        None, "folder to write to; each ticket and seed gets its own below it", type=path, required=True
    )
    seeds: list[int] = flag([2018], "do one run per ticket and seed", nargs="+", type=SEED)
    parallel: str = flag(
        "batches",
        "what several processes (started by torchrun) share: the rows of every batch, or the runs, each done by one "
        "process",
        choices=["batches", "runs"],
    )
    keep_gates: bool = flag(
        False,
        "train the whole encoder with closed gates. Without this flag the ticket is taken out of the weights, which "
        "computes the same faster",
    )
    exact_sharing: bool = flag(
        False,
        "several tasks: leave the heads that a task's ticket closes exactly as they are in the task's updates. Without "
        "this flag the momentum of other tasks still moves them, as in the paper's code",
    )
    save_model: bool = flag(False, "keep the trained model of each run, for mt_dnn.export and mt_dnn.predict")


@dataclass
class MergeOptions:
    """Super tickets and output of construct_mtl_mask.py."""

    model: str = flag(
        "base", "BERT-base or BERT-large: whose published super tickets and whose folders", choices=["base", "large"]
    )
    super_tickets: list[str] | None = flag(
        None,
        "your own super tickets: files that give how many heads and FFNs each task's ticket closes, as the report "
        "writes them (default: experiments/glue/super_tickets_<model>.yml)",
        nargs="+",
        type=path,
    )
    checkpoints: str | None = flag(
        None,
        "folder with the output of train.py for every task (default: checkpoints/bert-<model>-uncased)",
        type=path,
    )
    kind: str = flag(
        "winning",
        "kind of the tickets to merge; random and losing ones that close as many units are controls",
    )
    output: str | None = flag(
        None,
        "mask to write (default: <checkpoints>/mtdnn/masks/[<criterion>/]<kind>/super_tickets.json)",
        type=path,
    )


@dataclass
class ExportOptions:
    """What to export."""

    run: str = flag(
        None, "folder of a finished run: of train.py, or of rewind.py with --save_model", positional=True, type=path
    )
    file_format: str = flag(
        "dense",
        "dense: a checkpoint for plain transformers, in which closed heads and FFNs are zero. compact: a smaller and "
        "faster one without them, for load_classifier of mt_dnn.classifier. onnx: the compact model for onnxruntime",
        name="format",
        choices=["dense", "compact", "onnx"],
    )
    output: str | None = flag(
        None,
        "folder to write; of several tasks each gets a folder below it (default: <run>/export/<format>)",
        type=path,
    )


@dataclass
class PredictOptions:
    """What to predict."""

    runs: list[str] = flag(
        None,
        "folder of a finished run or of an export; several with --glue_format",
        name="run",
        positional=True,
        nargs="+",
        type=path,
    )
    task: str | None = flag(None, "task to predict, where the model has several")
    input: str | None = flag(
        None,
        "tab-separated file: the texts alone, or more columns and a header that names the columns of the texts "
        "(default: standard input)",
        type=path,
    )
    output: str | None = flag(None, "file to write (default: standard output)", type=path)
    device: str = flag("auto", "where to compute; auto is the GPU if there is one", choices=["auto", "cuda", "cpu"])
    precision: str = flag(
        "auto",
        "what the encoder's layers compute in; auto is what the run was trained and evaluated in (an export: float32)",
        choices=["auto", "bfloat16", "float32"],
    )
    glue_format: bool = flag(
        False, "predict GLUE's test sets of the models' tasks, and write them to --output as a zip for GLUE's server"
    )
    raw_dir: str = flag(
        "data/glue", "for --glue_format: folder of the raw files, as download.sh lays them out", type=path
    )
    task_def: str = flag(
        "experiments/glue/glue_task_def.yml", "for --glue_format: YAML file that describes the tasks", type=path
    )


# Groups of flags that one command alone has, and the variable of the scripts that passes them on.
ALONE = {
    "train.py": ("TRAIN_FLAGS", (TrainOptions, MaskOptions)),
    "rewind.py": ("REWIND_FLAGS", (RewindOptions,)),
    "prepro.py": ("PREPRO_FLAGS", (PreproOptions,)),
}

# Flags that the scripts set from a variable at their top.
SCRIPT_VARIABLES = {
    "init_checkpoint": "ENCODER",
    "train_datasets": "TASK",
    "task_def": "TASK_DEF",
    "data_dir": "TOKENIZED",
    "output_dir": "OUTPUT",
    "holdout": "HOLDOUT",
    "train_fraction": "TRAIN_FRACTION",
    "encoder_dropout": "ENCODER_DROPOUT",
    "epochs": "EPOCHS",
    "batch_size": "BATCH_SIZE",
    "learning_rate": "LEARNING_RATE",
    "optimizer": "OPTIMIZER",
    "sparsities": "MASK_SPARSITIES",
    "seed": "SEEDS",
    "seeds": "SEEDS",
}


def advice(flags: str) -> str:
    """Return a flag for an error line, with what to edit in a script: "--epochs" -> "--epochs (EPOCHS in the scripts)".

    With its value too: '--precision float32 (FLAGS="--precision float32" in the scripts)'.
    """
    name, _, value = flags.removeprefix("--").partition(" ")
    if name in SCRIPT_VARIABLES:
        return f"{flags} ({SCRIPT_VARIABLES[name]}{f'={value}' if value else ''} in the scripts)"
    return f'{flags} (FLAGS="{flags}" in the scripts)'


PATHS = {"data_dir", "task_def", "init_checkpoint"}


def to_dict(*options: Any) -> dict[str, Any]:
    """Return all options as one flat dictionary, for a run's config.json."""
    return {key: value for group in options for key, value in dataclasses.asdict(group).items()}


def read_run_config(path: str | Path) -> dict[str, Any]:
    """Return what a run's config.json holds. An option that is younger than the run has the value that it had then."""
    return with_younger_options(read_json(path, "the options of a run"))


def with_younger_options(content: dict[str, Any]) -> dict[str, Any]:
    """Return `content`, a run's options, with the options that are younger than the run, as they were then."""
    return {**_before_they_were_options(content), **content}


def _before_they_were_options(content: dict[str, Any]) -> dict[str, Any]:
    tickets = content.get("tickets")
    closed = {task: any(ticket.values()) for task, ticket in tickets.items()} if isinstance(tickets, dict) else {}
    scored = content.get("kind") in ("winning", "losing")  # of the kinds that there were
    return {
        "exact_sharing": False,
        "criteria": {task: DEFAULT_CRITERION if scored and any_closed else None for task, any_closed in closed.items()},
        "tickets_of": {task: task for task in closed},
    }


def refuse_other_config(folder: Any, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise UserError, naming the keys, if the run in `folder` was made with other options than asked for now.

    Where data and encoder lie may differ; what they are is compared by name and fingerprint.
    """
    differing = [
        f"{key} {saved.get(key)!r}, now {value!r}"
        for key, value in wanted.items()
        if key not in PATHS and saved.get(key) != value
    ]
    if differing:
        raise UserError(
            f"{folder}: made with {'; '.join(differing)}; take another {advice('--output_dir')}, or remove that folder "
            "to run anew"
        )

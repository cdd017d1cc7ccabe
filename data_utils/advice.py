"""What an error line advises: the flag to change, and where in a script it is set."""

from collections.abc import Mapping
from typing import TypeVar

from data_utils.errors import UserError

# Flags that the scripts set from a variable at their top.
SCRIPT_VARIABLES = {
    "init_checkpoint": "ENCODER",
    "train_datasets": "TASK",
    "task_def": "TASK_DEF",
    "data_dir": "TOKENIZED",
    "output_dir": "CHECKPOINTS",
    "holdout": "HOLDOUT",
    "train_fraction": "TRAIN_FRACTION",
    "encoder_dropout": "ENCODER_DROPOUT",
    "epochs": "EPOCHS",
    "batch_size": "BATCH_SIZE",
    "learning_rate": "LEARNING_RATE",
    "optimizer": "OPTIMIZER",
    "criterion": "CRITERION",
    "sparsities": "MASK_SPARSITIES",
    "seed": "SEEDS",
    "seeds": "SEEDS",
    "save_model": "SAVE_MODEL",
}

# Other flags that one command alone has, and the variable that passes its flags on.
OF_ONE_COMMAND = {
    "do_train": "TRAIN_FLAGS",
    "do_mask": "TRAIN_FLAGS",
    "skip_locked": "TRAIN_FLAGS",
    "min_heads_per_layer": "TRAIN_FLAGS",
    "masks": "REWIND_FLAGS",
    "parallel": "REWIND_FLAGS",
    "exact_sharing": "REWIND_FLAGS",
    "keep_gates": "REWIND_FLAGS",
    "tickets_of": "REWIND_FLAGS",
    "raw_dir": "PREPRO_FLAGS",
    "tasks": "PREPRO_FLAGS",
    "max_seq_len": "PREPRO_FLAGS",
    "skip_bad_rows": "PREPRO_FLAGS",
}

Entry = TypeVar("Entry")


def entry_named(table: Mapping[str, Entry], name: str, flag: str) -> Entry:
    """Return table[name]; raise UserError, with the names there are, if there is none. `flag`: the one that chose it,
    without its dashes."""
    if name not in table:
        raise UserError(
            f"--{flag} {name}: no such {flag}, expected one of {', '.join(table)}; change {advice(f'--{flag}')}"
        )
    return table[name]


def variable(name: str) -> str:
    """Return which variable at a script's top sets the flag of that name, or passes it on."""
    return SCRIPT_VARIABLES.get(name) or OF_ONE_COMMAND.get(name, "FLAGS")


def advice(flags: str) -> str:
    """Return a flag for an error line, with what to edit in a script: "--epochs" -> "--epochs (EPOCHS in the scripts)".

    With its value too: '--precision float32 (FLAGS="--precision float32" in the scripts)'.
    """
    name, _, value = flags.removeprefix("--").partition(" ")
    if name in SCRIPT_VARIABLES:
        return f"{flags} ({SCRIPT_VARIABLES[name]}{f'={value}' if value else ''} in the scripts)"
    return f'{flags} ({variable(name)}="{flags}" in the scripts)'

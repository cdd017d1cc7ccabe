"""A run's config.json: its options, read back and compared with those asked for now, or when the run began."""

import contextlib
import re
from pathlib import Path
from typing import Any

from data_utils.advice import advice
from data_utils.check import ANYTHING, BOOLEAN, NULL, TEXT, check, either, fields, mapping_of
from data_utils.errors import FailedInAllProcesses, UserError
from data_utils.json_file import read_json
from mt_dnn.run_folder import RunFolder

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # of an organization and its model
PATHS = {"data_dir", "task_def", "init_checkpoint"}  # not compared: what they lead to is, by name and fingerprint
OF_A_RUN = {"kind", "seed", "criteria", "tickets_of", "tickets"}  # differ from run to run of a sweep
# They have a value for each task.
BY_TASK = {"data", "task_kinds", "metrics", "head_dropout", "criteria", "tickets_of", "tickets"}
OF_THE_MACHINE = {"device", "precision"}  # change outcomes by rounding and dropout's random numbers alone
MAY_BE_UNKNOWN = "encoder_weights", "task_kinds", "metrics"  # missing in older runs; weights of a hub name: None
RUN_CONFIG = fields(  # other options are not checked here: refuse_other_config() compares them
    {},
    optional={
        **dict.fromkeys(sorted(PATHS), TEXT),
        **dict.fromkeys(("kind", "device", "precision"), TEXT),
        **dict.fromkeys(("keep_gates", "exact_sharing"), BOOLEAN),
        "tickets": mapping_of(mapping_of(ANYTHING)),
        "criteria": mapping_of(either(TEXT, NULL)),
        "tickets_of": mapping_of(TEXT),
        "encoder_weights": either(TEXT, NULL),
        "task_kinds": either(mapping_of(TEXT), NULL),
        "metrics": either(mapping_of(ANYTHING), NULL),
    },
    others=True,
)


def read_run_config(path: str | Path) -> dict[str, Any]:
    """Return what a run's config.json holds.

    Raises UserError, naming file and key, if it holds something else than the options of a run.
    """
    content = read_json(path, "the options of a run")
    check(RUN_CONFIG, content, path)
    return content


def differs(key: str, one: object, other: object) -> bool:
    """Whether two values of an option differ, as far as both are known."""
    return one != other and not (key in MAY_BE_UNKNOWN and None in (one, other))


def refuse_other_config(folder: str | Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise UserError, naming the keys, if the run in `folder` was made with other options than asked for now.

    Where data and encoder lie may differ; what they are is compared by name and fingerprint. Of `data`, the splits that
    `wanted` names are compared. If the tasks differ, options that have a value for each task are not listed.
    """
    tasks_differ = "train_datasets" in wanted and saved.get("train_datasets") != wanted["train_datasets"]
    if isinstance(saved.get("data"), dict) and "data" in wanted:
        saved = {**saved, "data": {name: saved["data"].get(name) for name in wanted["data"]}}
    differing = [
        _difference(key, saved.get(key), value)
        for key, value in wanted.items()
        if key not in PATHS and not (tasks_differ and key in BY_TASK) and differs(key, saved.get(key), value)
    ]
    if _other_hub_name(saved, wanted):
        differing.append(_difference("init_checkpoint", saved["init_checkpoint"], wanted["init_checkpoint"]))
    if differing:
        raise UserError(
            f"{folder}: made with {'; '.join(differing)}; give the old values, take another "
            f"{advice('--output_dir')}, or remove its result.json, checkpoint/, model/ and export/ to run anew"
        )


def _other_hub_name(saved: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether two encoders of the hub differ. Their weights have no fingerprint, so that all of their names counts."""
    one, other = (str(options.get("init_checkpoint")) for options in (saved, wanted))
    known = any(options.get("encoder_weights") for options in (saved, wanted))
    return (
        one != other
        and not known
        and all(HUB_NAME.fullmatch(name) and not Path(name).is_dir() for name in (one, other))
    )


def refuse_other_precision(files: RunFolder, precision: str) -> None:
    """Raise FailedInAllProcesses if the unfinished run in `files` was begun in another precision."""
    begun = read_run_config(files.config).get("precision", precision)
    if begun != precision:
        raise FailedInAllProcesses(
            f"this run was begun in {begun}, now {precision}, expected the same; "
            f"give {advice(f'--precision {begun}')}, or remove its checkpoint/ to run anew"
        )


def config_as_it_is(files: RunFolder) -> bytes | None:
    """Return what the run's config.json holds; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return files.config.read_bytes()
    return None


def refuse_begun_anew(files: RunFolder, config: bytes | None) -> None:
    """Raise UserError if the run's folder was removed, or begun anew with other options, while the run goes on.

    `config`: config_as_it_is() when the run began.
    """
    if config_as_it_is(files) != config:
        raise UserError(
            f"{files.folder}: removed, or begun anew with other options, while this command trained the run; "
            "expected its config.json as it was; this command ends here"
        )


def _difference(key: str, saved: object, wanted: object) -> str:
    """Say how an option differs. Splits and tickets that differ are named: what is in them is too long for a line."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        names = sorted(name for name in {**saved, **wanted} if saved.get(name) != wanted.get(name))
        if key == "data":
            return f"other rows, or another tokenization, of {', '.join(names)}"
        if key == "tickets":
            return f"other tickets of {', '.join(names)}"
        if key in BY_TASK:
            saved, wanted = ({name: values.get(name) for name in names} for values in (saved, wanted))
    more = " (in the scripts, further seeds stand at the end of SEEDS)" if key == "seed" else ""
    return f"{key} {saved!r}, now {wanted!r}{more}"

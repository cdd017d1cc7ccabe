"""Many runs, each done once, however many processes share them; one that fails does not stop the others."""

from collections.abc import Callable
from typing import Any

import torch

from data_utils.errors import FailedInAllProcesses, RunFailed
from mt_dnn.runs.lock import locked
from mt_dnn.runs.run import Run
from mt_dnn.runtime.distributed import on_main_process, world_size
from mt_dnn.runtime.log import print_line


def sweep(runs: list[Run], do: Callable[[Run], Any]) -> None:
    """Call `do(run)` for every run that is neither finished nor failed, and that no other process is doing.

    Any number of processes can share the runs: a process that is free takes the next run. After its last one it looks
    again at the runs that others were doing, so that a run is taken over if its process died.

    Raises RunFailed only if several processes do a run together and the memory of one is full: that process can't tell
    whether the memory of the others is. A UserError, as of a folder removed meanwhile, ends the sweep.
    """
    left, did_some = list(enumerate(runs, 1)), True
    while did_some:
        elsewhere, did_some = [], False
        for number, run in left:
            with locked(run.files) as got:
                if not got:
                    elsewhere.append((number, run))
                elif on_main_process(run.is_finished):
                    on_main_process(run.remove_checkpoints)
                elif not on_main_process(run.files.why_failed):
                    did_some = True
                    print_line(f"run {number} of {len(runs)}: {run.files.folder}")
                    try:
                        do(run)
                    except FailedInAllProcesses:
                        pass
                    except RunFailed:
                        if world_size() > 1:
                            raise
                    torch.cuda.empty_cache()  # memory that is kept for the next run: other processes can't use it
        left = elsewhere


def remove_checkpoints(runs: list[Run]) -> None:
    """Remove what only unfinished runs need."""
    for run in runs:
        run.remove_checkpoints()


def forget_failures(runs: list[Run]) -> None:
    """Remove the lines that failed runs left, so that these are tried again."""
    for run in runs:
        run.files.failure.unlink(missing_ok=True)


def summarize(runs: list[Run]) -> tuple[list[str], bool]:
    """Return (lines that say how many runs are finished, failed and left, and why; whether any failed)."""
    failed = {run.files.folder: line for run in runs if (line := run.files.why_failed())}
    finished = sum(run.is_finished() for run in runs)
    left = len(runs) - finished - len(failed)
    in_progress = f", {left} in progress in other processes" if left else ""
    lines = [f"{len(runs)} runs: {finished} finished, {len(failed)} failed{in_progress}"]
    return lines + [f"failed: {folder}: {line}" for folder, line in failed.items()], bool(failed)

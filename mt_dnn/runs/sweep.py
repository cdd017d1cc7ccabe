"""Many runs, each done once, whoever shares them; one that fails does not stop the others."""

from data_utils.errors import Diverged, RunFailed
from mt_dnn.runs.lock import locked
from mt_dnn.runtime.distributed import on_main_process, world_size
from mt_dnn.runtime.log import print_line


def sweep(runs, do):
    """Call `do(run)` for every Run that is neither finished nor failed, and that no other process is at.

    Any number of processes can share the runs: whoever is free takes the next. Runs that others were at are
    looked at again in the end, so that one whose process died is taken up.

    Raises RunFailed only where several processes do a run together and memory is full: one can't tell whether the others' is.
    """
    left, did_some = list(enumerate(runs, 1)), True
    while did_some:
        elsewhere, did_some = [], False
        for number, run in left:
            with locked(run.files) as mine:
                if not mine:
                    elsewhere.append((number, run))
                elif on_main_process(run.is_finished):
                    on_main_process(run.remove_checkpoints)
                elif not on_main_process(run.files.why_failed):
                    did_some = True
                    print_line(f"run {number} of {len(runs)}: {run.files.folder}")
                    try:
                        do(run)
                    except Diverged:
                        pass  # in all processes alike
                    except RunFailed:
                        if world_size() > 1:
                            raise
        left = elsewhere


def summarize(runs):
    """Return (lines that say how many runs are finished, failed and left, and why; whether any failed)."""
    failed = {run.files.folder: line for run in runs if (line := run.files.why_failed())}
    finished = sum(run.is_finished() for run in runs)
    left = len(runs) - finished - len(failed)
    lines = [
        f"{len(runs)} runs: {finished} finished, {len(failed)} failed" + f", {left} other processes are at" * bool(left)
    ]
    return lines + [f"failed: {folder}: {line}" for folder, line in failed.items()], bool(failed)

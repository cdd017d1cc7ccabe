"""What a run leaves when it ends: a result and the mask of its model, or the line of a failure."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data_utils.errors import Diverged, FailedInAllProcesses, RunFailed
from data_utils.files import write_whole
from mt_dnn.runs.run import Run
from mt_dnn.runtime.code_version import code_version
from mt_dnn.runtime.distributed import is_main_process
from mt_dnn.runtime.log import log
from mt_dnn.tickets.masks import Mask
from mt_dnn.tickets.ticket import remaining_weights
from mt_dnn.training.task_data import TaskData


def mask_of(run: Run, model: dict[str, Any]) -> Mask:
    """Return the Mask of a run's tickets; `model`: as model_entry() gives it."""
    sources = {task: {"seed": run.seed, **run.source_of(task)} for task in run.tickets}
    return Mask(run.kind, model, run.tickets, sources if len(sources) > 1 else sources[next(iter(sources))])


def result_of(run: Run, data: Sequence[TaskData], epochs: Sequence[dict[str, Any]], mask: Mask) -> dict[str, Any]:
    """Return what result.json holds: the metrics after the last of `epochs`, and what they belong to."""

    def of_task(task_data: TaskData) -> dict[str, Any]:
        name = task_data.task.name
        ticket = mask.tickets[name]
        n_heads, n_ffns = ticket.counts
        return {
            "task_kind": task_data.task.kind.name,
            **run.source_of(name),
            "heads_closed": n_heads,
            "ffns_closed": n_ffns,
            "remaining_weights": {
                "by_formula": round(remaining_weights(ticket.counts, mask.shape, biases=False), 6),
                "counted": round(remaining_weights(ticket.counts, mask.shape, biases=True), 6),
            },
            "training_rows": len(task_data.train),
            "dev_sets": {dev_set: len(split) for dev_set, split in task_data.dev.items()},
            "held_out_rows": len(task_data.held_out or ()),
        }

    last = epochs[-1]
    return {
        "kind": run.kind,
        "seed": run.seed,
        "model": mask.model,
        "tasks": {task_data.task.name: of_task(task_data) for task_data in data},
        "dev": last["dev"],
        "average_score": last["average_score"],
        "held_out": last.get("held_out", {}),
        "epochs": len(epochs),
        "seconds_per_epoch": round(float(np.median([epoch["seconds"] for epoch in epochs])), 2),
        "code": code_version(),
    }


@contextlib.contextmanager
def failure_written(run: Run) -> Iterator[None]:
    """Within the block, if the run fails, log why, write it to the run's folder, and raise the RunFailed again.

    The checkpoints of a run whose loss or outputs are NaN or infinite are removed: it would fail again. If memory is
    full, only the process that ran out of it knows, so it writes; else all processes of the run know, and the first one
    does.
    """
    try:
        yield
    except RunFailed as error:
        known_to_all = isinstance(error, FailedInAllProcesses)
        if is_main_process():
            log.error(f"failed: {error}")
        if is_main_process() or not known_to_all:
            with write_whole(run.files.failure) as file:
                file.write(f"{error}\n")
        if is_main_process() and isinstance(error, Diverged):
            run.remove_checkpoints()
        raise

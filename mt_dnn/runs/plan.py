"""Which runs rewind.py has to do: one per mask and seed, each in a folder of its own."""

from pathlib import Path
from typing import Any

from data_utils.advice import advice
from data_utils.errors import UserError
from mt_dnn.flags.commands import RewindOptions
from mt_dnn.run_folder import RunFolder, ticket_name
from mt_dnn.runs.run import Run
from mt_dnn.tickets.masks import Mask, tickets_for
from mt_dnn.tickets.ticket import DENSE


def plan(
    masks: dict[Path, Mask], tickets_of: dict[str, str], options: RewindOptions, run_options: dict[str, Any]
) -> list[Run]:
    """Return a Run per mask and seed, each in its own folder; raise UserError if two would share one.

    `masks`: by their files; `tickets_of`: {task to train: the task whose ticket it trains}; `run_options`: from
    outcome_options().

    Folders are named after kind and criterion, and after what a single task's ticket closes, or the file of a mask for
    several tasks: winning/heads_14_ffns_1/seed_2018, loss/winning/..., tickets_of_mnli/winning/...
    """
    tasks = list(tickets_of)
    owner_folder = f"tickets_of_{options.tickets_of}" if options.tickets_of not in (None, *tasks) else ""
    runs, taken = [], {}
    for path, mask in masks.items():
        found = tickets_for(mask, path, tickets_of.values())
        tickets = {task: found[other] for task, other in tickets_of.items()}
        name = ticket_name(*tickets[tasks[0]].counts) if len(tasks) == 1 else path.stem
        folder = Path(options.output_dir) / owner_folder / mask.folder(tickets_of.values()) / name
        if folder in taken and all(ticket == DENSE for ticket in tickets.values()):
            continue  # a ticket so small that it closes nothing: it is the same by every criterion
        if folder in taken:
            raise UserError(
                f"{taken[folder]} and {path} would both go to {folder}, expected one mask per kind and "
                f"{'count' if len(tasks) == 1 else 'file name'}; rewind them into two {advice('--output_dir')}"
            )
        taken[folder] = path
        runs += [
            Run(
                RunFolder(folder / f"seed_{seed}"),
                mask.kind,
                tickets,
                seed,
                run_options,
                keep_gates=options.keep_gates,
                keep_model=options.save_model,
                exact_sharing=options.exact_sharing,
                criteria={task: mask.criterion_of(other) for task, other in tickets_of.items()},
                tickets_of=tickets_of,
                mask_file=str(path),
            )
            for seed in dict.fromkeys(options.seeds)
        ]
    return runs


def count_unfinished(runs: list[Run]) -> tuple[int, int]:
    """Return how many of `runs` are to be done, and how many of these have a result, but not the model to keep."""
    unfinished = [run for run in runs if not run.is_finished()]
    return len(unfinished), sum(run.files.result.exists() for run in unfinished)

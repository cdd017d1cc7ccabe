"""Rewind tickets: the pre-trained weights with a mask applied, trained again, for every mask and seed.

With several tasks, each task trains its own ticket in the mask, inside one shared encoder (tickets sharing).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.advice import advice
from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.run_folder import RunFolder, ticket_name
from mt_dnn.flags.commands import RewindOptions
from mt_dnn.flags.parser import parse_options
from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions

if TYPE_CHECKING:
    from mt_dnn.runs.run import Run
    from mt_dnn.tickets.masks import Mask


def main() -> int:
    options, data, model, optimization, machine = parse_options(
        __doc__, RewindOptions, DataOptions, ModelOptions, OptimizationOptions, MachineOptions
    )
    tasks, several = f"--train_datasets {','.join(data.train_datasets)}", len(data.train_datasets) > 1
    for flag in ("sparsities", "keep_gates", "tickets_of"):
        if several and getattr(options, flag):
            raise UserError(
                f"--{flag} with {tasks}: expected one task; change {advice('--train_datasets')} or leave out --{flag}"
            )
    if options.exact_sharing and not several:
        raise UserError(
            f"--exact_sharing with {tasks}: expected several tasks that share one encoder; "
            f"change {advice('--train_datasets')} or leave out {advice('--exact_sharing')}"
        )

    from mt_dnn.runs.run import outcome_options
    from mt_dnn.runs.sweep import summarize, sweep
    from mt_dnn.runtime.distributed import apart, first_start, on_main_process, process_group
    from mt_dnn.runtime.log import print_line
    from mt_dnn.tickets.find_masks import at_sparsities, find_masks
    from mt_dnn.tickets.fitting import refuse_other_model, refuse_unfit
    from mt_dnn.tickets.masks import read_mask

    outcome = outcome_options(data, model, optimization)
    masks = {path: read_mask(path) for path in find_masks(options.masks)}
    if options.sparsities:
        masks = at_sparsities(masks, options.sparsities, options.tickets_of or data.train_datasets[0])
    tickets_of = {task: options.tickets_of or task for task in data.train_datasets}
    runs = plan(masks, tickets_of, options, outcome)
    unknown = refuse_unfit(masks, tickets_of, outcome["encoder_weights"], data.holdout)
    with process_group(machine.device, options.parallel):
        for path in unknown:
            print_line(
                f"{path}: does not say which rows were held out when its tickets were chosen; they may have seen rows "
                f"that --holdout {data.holdout} holds out"
            )
        left, again = on_main_process(lambda: count_unfinished(runs))
        no_model = f", {again} finished without keeping the model: done once more" if again else ""
        print_line(f"{options.output_dir}: {len(runs)} runs, {len(runs) - left} finished before{no_model}")
        if not left:
            on_main_process(lambda: [run.remove_checkpoints() for run in runs])
            return 0

        from mt_dnn.runs.session import Session

        session = Session(data, model, optimization, machine)
        for path, mask in masks.items():
            refuse_other_model(mask, path, session.model_entry)
        if first_start():
            on_main_process(lambda: [run.files.failure.unlink(missing_ok=True) for run in runs])  # they are tried again
        with apart(options.parallel == "runs"):
            sweep(runs, session.do)
        lines, failed = on_main_process(lambda: summarize(runs))
        print_line("\n" + "\n".join(lines))
    return int(failed)


def count_unfinished(runs: "list[Run]") -> tuple[int, int]:
    """Return how many of `runs` are to be done, and how many of these have a result, but not the model to keep."""
    unfinished = [run for run in runs if not run.is_finished()]
    return len(unfinished), sum(run.files.result.exists() for run in unfinished)


def plan(
    masks: "dict[Path, Mask]", tickets_of: dict[str, str], options: RewindOptions, outcome: dict[str, Any]
) -> "list[Run]":
    """Return a Run per mask and seed, each in its own folder; raise UserError if two would share one.

    `masks`: by their files; `tickets_of`: {task to train: the task whose ticket it trains}; `outcome`: from
    outcome_options().

    Folders are named after kind and criterion, and after what a single task's ticket closes, or the file of a mask for
    several tasks: winning/heads_14_ffns_1/seed_2018, loss/winning/..., tickets_of_mnli/winning/...
    """
    from mt_dnn.runs.run import Run
    from mt_dnn.tickets.masks import tickets_for
    from mt_dnn.tickets.ticket import DENSE

    tasks = list(tickets_of)
    others = f"tickets_of_{options.tickets_of}" if options.tickets_of not in (None, *tasks) else ""
    runs, taken = [], {}
    for path, mask in masks.items():
        found = tickets_for(mask, path, tickets_of.values())
        tickets = {task: found[other] for task, other in tickets_of.items()}
        name = ticket_name(*tickets[tasks[0]].counts) if len(tasks) == 1 else path.stem
        folder = Path(options.output_dir) / others / mask.folder(tickets_of.values()) / name
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
                outcome,
                keep_gates=options.keep_gates,
                keep_model=options.save_model,
                exact_sharing=options.exact_sharing,
                criteria={task: mask.criterion_of(other) for task, other in tickets_of.items()},
                tickets_of=tickets_of,
            )
            for seed in dict.fromkeys(options.seeds)
        ]
    return runs


if __name__ == "__main__":
    open_door(main)

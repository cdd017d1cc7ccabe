"""Rewind tickets: the pre-trained weights with a mask applied, trained again, for every mask and seed.

With several tasks each of them trains its own ticket in the mask, inside one shared encoder (tickets sharing).
"""

from pathlib import Path

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.run_folder import RunFolder, ticket_name
from mt_dnn.config import DataOptions, MachineOptions, ModelOptions, OptimizationOptions, RewindOptions, parse_options


def main():
    options, data, model, optimization, machine = parse_options(
        __doc__, RewindOptions, DataOptions, ModelOptions, OptimizationOptions, MachineOptions
    )
    if len(data.train_datasets) > 1 and (options.sparsities or options.keep_gates):
        raise UserError(
            f"--{'sparsities' if options.sparsities else 'keep_gates'} "
            f"with --train_datasets {','.join(data.train_datasets)}: expected one task"
        )

    if len(data.train_datasets) == 1 and options.exact_sharing:
        raise UserError(
            f"--exact_sharing with --train_datasets {data.train_datasets[0]}: "
            "expected several tasks that share one encoder"
        )

    from mt_dnn.runs.run import outcome_options
    from mt_dnn.runs.sweep import summarize, sweep
    from mt_dnn.runtime.distributed import apart, first_start, on_main_process, process_group
    from mt_dnn.runtime.log import print_line
    from mt_dnn.tickets.masks import at_sparsities, find_masks, read_mask, refuse_other_holdout, refuse_other_model

    outcome = outcome_options(data, model, optimization)
    masks = {path: read_mask(path) for path in find_masks(options.masks)}
    if options.sparsities:
        masks = at_sparsities(masks, options.sparsities, *data.train_datasets)
    runs = plan(masks, options, data.train_datasets, outcome)
    for path, mask in masks.items():
        refuse_other_holdout(mask, path, data.holdout, data.train_datasets)
    with process_group(machine.device, options.parallel):
        left = on_main_process(lambda: sum(not run.is_finished() for run in runs))
        print_line(f"{options.output_dir}: {len(runs)} runs, {len(runs) - left} finished before")
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


def plan(masks, options, tasks, outcome):
    """Return a Run per mask and seed, each in its own folder; raise UserError if two would share one.

    The folder is named after what a single task's ticket closes, or after the file of a mask for several tasks.
    """
    from mt_dnn.runs.run import Run
    from mt_dnn.tickets.masks import tickets_for

    runs, taken = [], {}
    for path, mask in masks.items():
        tickets = tickets_for(mask, path, tasks)
        name = ticket_name(*tickets[tasks[0]].counts) if len(tasks) == 1 else path.stem
        folder = Path(options.output_dir) / mask.kind / name
        if folder in taken:
            raise UserError(
                f"{taken[folder]} and {path} would both go to {folder}, expected one mask per kind and "
                f"{'count' if len(tasks) == 1 else 'file name'}; rewind them into two --output_dir"
            )
        taken[folder] = path
        runs += [
            Run(
                RunFolder(folder / f"seed_{seed}"),
                mask.kind,
                tickets,
                seed,
                outcome,
                options.keep_gates,
                options.save_model,
                options.exact_sharing,
            )
            for seed in dict.fromkeys(options.seeds)
        ]
    return runs


if __name__ == "__main__":
    open_door(main)

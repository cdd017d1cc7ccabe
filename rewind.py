"""Rewind tickets: the pre-trained weights with a mask applied, trained again, for every mask and seed."""

from pathlib import Path

from data_utils.files import RunFolder, UserError, open_door, ticket_name
from mt_dnn.config import DataOptions, MachineOptions, ModelOptions, OptimizationOptions, RewindOptions, parse_options


def main():
    options, data, model, optimization, machine = parse_options(
        __doc__, RewindOptions, DataOptions, ModelOptions, OptimizationOptions, MachineOptions)

    from mt_dnn.masks import at_sparsities, find_masks, read_mask, refuse_other_model
    from mt_dnn.run import outcome_options
    outcome = outcome_options(data, model, optimization)
    masks = {path: read_mask(path) for path in find_masks(options.masks)}
    if options.sparsities:
        masks = at_sparsities(masks, options.sparsities, data.train_datasets[0])
    runs = plan(masks, options, data.train_datasets[0], outcome)
    left = [run for run in runs if not run.is_finished()]
    print(f"{options.output_dir}: {len(runs)} runs, {len(runs) - len(left)} finished before", flush=True)
    if not left:
        return

    from mt_dnn.session import Session
    session = Session(data, model, optimization, machine)
    for path, mask in masks.items():
        refuse_other_model(mask, path, session.model_entry)
    for number, run in enumerate(left, 1):
        print(f"\nrun {number} of {len(left)}: {run.files.folder}", flush=True)
        session.do(run)


def plan(masks, options, task, outcome):
    """Return a Run per mask and seed, each in its own folder; raise UserError if two would share one."""
    from mt_dnn.masks import ticket_for
    from mt_dnn.run import Run

    runs, taken = [], {}
    for path, mask in masks.items():
        ticket = ticket_for(mask, path, task)
        folder = Path(options.output_dir) / mask.kind / ticket_name(*ticket.counts)
        if folder in taken:
            raise UserError(f"{taken[folder]} and {path} would both go to {folder}, expected one mask per kind and count; rewind them into two --output_dir")
        taken[folder] = path
        runs += [Run(RunFolder(folder / f"seed_{seed}"), mask.kind, ticket, seed, outcome, options.keep_gates, options.save_model)
                 for seed in dict.fromkeys(options.seeds)]
    return runs


if __name__ == "__main__":
    open_door(main)

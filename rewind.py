"""Rewind tickets: the pre-trained weights with a mask applied, trained again, for every mask and seed.

With several tasks, each task trains its own ticket in the mask, inside one shared encoder (tickets sharing).
"""

from data_utils.advice import advice
from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.flags.commands import RewindOptions
from mt_dnn.flags.parser import parse_options
from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions


def main() -> int:
    options, data, model, optimization, machine = parse_options(
        __doc__, RewindOptions, DataOptions, ModelOptions, OptimizationOptions, MachineOptions
    )
    given, several = f"--train_datasets {','.join(data.train_datasets)}", len(data.train_datasets) > 1
    for flag in ("sparsities", "keep_gates", "tickets_of"):
        if several and getattr(options, flag):
            raise UserError(
                f"--{flag} with {given}: expected one task; change {advice('--train_datasets')} or leave out --{flag}"
            )
    if options.exact_sharing and not several:
        raise UserError(
            f"--exact_sharing with {given}: expected several tasks that share one encoder; "
            f"change {advice('--train_datasets')} or leave out {advice('--exact_sharing')}"
        )

    # Here, not above: --help and a wrong flag answer before torch is loaded.
    from data_utils.tokenized import training_rows_fingerprint
    from mt_dnn.runs.plan import count_unfinished, plan
    from mt_dnn.runs.run import outcome_options
    from mt_dnn.runs.sweep import forget_failures, remove_checkpoints, summarize, sweep
    from mt_dnn.runtime.distributed import apart, first_start, on_main_process, process_group
    from mt_dnn.runtime.log import print_line
    from mt_dnn.tickets.compatibility import refuse_other_model, refuse_unfit, ticket_warnings
    from mt_dnn.tickets.find_masks import at_sparsities, find_masks, refuse_output_among_masks
    from mt_dnn.tickets.masks import read_mask

    refuse_output_among_masks(options.masks, options.output_dir)
    run_options = outcome_options(data, model, optimization)
    masks = {path: read_mask(path) for path in find_masks(options.masks)}
    if options.sparsities:
        masks = at_sparsities(masks, options.sparsities, options.tickets_of or data.train_datasets[0])
    tickets_of = {task: options.tickets_of or task for task in data.train_datasets}
    runs = plan(masks, tickets_of, options, run_options)
    training_rows = {task: training_rows_fingerprint(data.data_dir, task) for task in data.train_datasets}
    refuse_unfit(masks, tickets_of, run_options["encoder_weights"], data.holdout, training_rows)
    with process_group(machine.device, options.parallel):
        fractions = {task: data.fraction_of(task) for task in data.train_datasets}
        for line in ticket_warnings(masks, tickets_of, data.holdout, fractions):
            print_line(line)
        left, again = on_main_process(lambda: count_unfinished(runs))
        no_model = f", {again} finished without a model, to be repeated" if again else ""
        print_line(f"{options.output_dir}: {len(runs)} runs, {len(runs) - left} finished before{no_model}")
        if not left:
            on_main_process(lambda: remove_checkpoints(runs))
            return 0

        from mt_dnn.runs.session import Session

        session = Session(data, model, optimization, machine)
        for path, mask in masks.items():
            refuse_other_model(mask, path, session.model_entry)
        if first_start():
            on_main_process(lambda: forget_failures(runs))
        with apart(options.parallel == "runs"):
            sweep(runs, session.do)
        lines, failed = on_main_process(lambda: summarize(runs))
        print_line("\n" + "\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    run_main(main)

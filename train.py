"""Fine-tune BERT on a task, score its heads and FFNs, and write masks of every kind of ticket: winning, random, ...

With several tasks it fine-tunes one shared encoder (MT-DNN)."""

import functools
import os
from typing import TYPE_CHECKING

from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.flags.commands import MaskOptions, TrainOptions
from mt_dnn.flags.parser import parse_options
from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions
from mt_dnn.run_folder import RunFolder

if TYPE_CHECKING:
    from mt_dnn.runs.session import Session


def main() -> int:
    options, data, model, optimization, mask_options, machine = parse_options(
        __doc__, TrainOptions, DataOptions, ModelOptions, OptimizationOptions, MaskOptions, MachineOptions
    )
    if not (options.do_train or options.do_mask):
        raise UserError("nothing to do, expected --do_train, --do_mask or both")
    if options.do_mask and len(data.train_datasets) > 1:
        raise UserError(
            f"--do_mask with --train_datasets {','.join(data.train_datasets)}: expected one task "
            "(TASK in the scripts); masks of several are merged by construct_mtl_mask.py"
        )

    # Here, not above: --help and a wrong flag answer before torch is loaded.
    from mt_dnn.runs.lock import locked
    from mt_dnn.runs.run import Run, outcome_options, score_options
    from mt_dnn.runs.train_and_score import train_and_score, what_is_left
    from mt_dnn.runtime.distributed import on_main_process, process_group
    from mt_dnn.runtime.log import print_line
    from mt_dnn.tickets.criteria import criterion_named
    from mt_dnn.tickets.make_masks import refuse_min_heads, write_masks
    from mt_dnn.tickets.ticket import DENSE, parse_sparsity

    criterion_named(mask_options.criterion)  # what is wrong is refused now, not after the training
    for sparsity in mask_options.sparsities:
        parse_sparsity(sparsity)
    files = RunFolder(options.output_dir)
    run_options = outcome_options(data, model, optimization)
    run = Run(files, "dense", dict.fromkeys(data.train_datasets, DENSE), options.seed, run_options, keep_model=True)
    scored_with = score_options(data, run_options, mask_options.criterion, options.seed) if options.do_mask else {}

    @functools.cache
    def open_session() -> "Session":
        from mt_dnn.runs.session import Session

        session = Session(data, model, optimization, machine)
        if options.do_mask:
            refuse_min_heads(mask_options.min_heads_per_layer, session.shape.heads)
        return session

    with process_group(machine.device):
        if any(on_main_process(lambda: what_is_left(run, options.do_train, scored_with))):
            open_session()  # before the lock, so that all is read and checked while another process may still train
        with locked(files, wait=not options.skip_locked) as got:
            if not got:
                print_line(f"{files.folder}: another process does this run; skipped")
                return os.EX_TEMPFAIL  # the scripts then take the next task or seed
            train_and_score(run, options.do_train, scored_with, open_session)
            if options.do_mask:
                written = on_main_process(lambda: write_masks(files, mask_options, scored_with))
                folders = ", ".join(dict.fromkeys(str(path.parent) for path in written))
                print_line(f"{len(written)} masks, scores by {mask_options.criterion}: {folders}")
    return 0


if __name__ == "__main__":
    run_main(main)

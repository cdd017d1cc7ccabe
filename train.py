"""Fine-tune BERT on a task, score its heads and FFNs, and write masks of every kind of ticket: winning, random, ...

With several tasks it fine-tunes one shared encoder (MT-DNN)."""

import functools
from typing import TYPE_CHECKING

from data_utils.cli import run_main
from data_utils.errors import RunFailed, UserError
from mt_dnn.flags.commands import MaskOptions, TrainOptions
from mt_dnn.flags.parser import parse_options
from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions
from mt_dnn.run_folder import RunFolder

if TYPE_CHECKING:
    from mt_dnn.runs.session import Session


def main() -> None:
    options, data, model, optimization, masks, machine = parse_options(
        __doc__, TrainOptions, DataOptions, ModelOptions, OptimizationOptions, MaskOptions, MachineOptions
    )
    if not (options.do_train or options.do_mask):
        raise UserError("nothing to do, expected --do_train, --do_mask or both")
    if options.do_mask and len(data.train_datasets) > 1:
        raise UserError(
            f"--do_mask with --train_datasets {','.join(data.train_datasets)}: expected one task "
            "(TASK in the scripts); masks of several are merged by construct_mtl_mask.py"
        )

    from mt_dnn.runs.left import what_is_left
    from mt_dnn.runs.lock import locked
    from mt_dnn.runs.run import Run, outcome_options, score_options
    from mt_dnn.runtime.distributed import on_main_process, process_group
    from mt_dnn.runtime.log import print_line
    from mt_dnn.tickets.criteria import criterion_named
    from mt_dnn.tickets.make_masks import refuse_min_heads, write_masks
    from mt_dnn.tickets.ticket import DENSE, parse_sparsity

    criterion_named(masks.criterion)  # what is wrong is refused now, not after the training
    for sparsity in masks.sparsities:
        parse_sparsity(sparsity)
    files = RunFolder(options.output_dir)
    run_options = outcome_options(data, model, optimization)
    run = Run(files, "dense", dict.fromkeys(data.train_datasets, DENSE), options.seed, run_options, keep_model=True)
    made_from = score_options(data, run_options, masks.criterion, options.seed) if options.do_mask else {}

    def left() -> tuple[bool, bool]:
        return what_is_left(run, options.do_train, made_from)

    @functools.cache
    def session() -> "Session":
        from mt_dnn.runs.session import Session

        session = Session(data, model, optimization, machine)
        if options.do_mask:
            refuse_min_heads(masks.min_heads_per_layer, session.shape.heads)
        return session

    with process_group(machine.device):
        # Before the lock, so that all is read and checked while another process may still train.
        if any(on_main_process(left)):
            session()
        failed_before = on_main_process(files.failed_at)
        with locked(files, wait=True):
            train, score = on_main_process(left)  # another process may have done it while this one waited
            if train and on_main_process(files.failed_at) not in (None, failed_before):
                raise RunFailed(f"{files.folder}: failed in another process: {on_main_process(files.why_failed)}")
            if train and files.result.exists():
                print_line(f"{files.folder}: finished without a model, to be repeated")
            if options.do_train and not train:
                on_main_process(run.remove_checkpoints)  # of a run that was killed after its result was written
            if train or score:
                on_main_process(lambda: remove_scores(files, None if train else masks.criterion))
                fine_tuned = session().do(run) if train else None
                if score:
                    from mt_dnn.runs.scoring import score_model

                    score_model(session(), files, fine_tuned, made_from)
            else:
                gone = "" if files.model.exists() else "; its model is gone (to train it anew, remove its scores)"
                print_line(
                    f"{files.folder}: {'fine-tuned and scored' if options.do_mask else 'fine-tuned'} before{gone}"
                )
            if options.do_mask:
                written = on_main_process(lambda: write_masks(files, masks, made_from))
                folders = ", ".join(dict.fromkeys(str(path.parent) for path in written))
                print_line(f"{len(written)} masks, scores by {masks.criterion}: {folders}")


def remove_scores(files: RunFolder, criterion: str | None) -> None:
    """Remove the scores by one criterion, or by all (None), before a model is trained or scored anew."""
    for path in [files.importance(criterion)] if criterion else files.importances():
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    run_main(main)

"""Fine-tune BERT on several tasks (MT-DNN), or on one: score heads and FFNs, write winning, losing and random masks."""

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.run_folder import RunFolder
from mt_dnn.config import (
    DataOptions,
    MachineOptions,
    MaskOptions,
    ModelOptions,
    OptimizationOptions,
    TrainOptions,
    parse_options,
    read_run_config,
    refuse_other_config,
)


def main():
    options, data, model, optimization, masks, machine = parse_options(
        __doc__, TrainOptions, DataOptions, ModelOptions, OptimizationOptions, MaskOptions, MachineOptions
    )
    if not (options.do_train or options.do_mask):
        raise UserError("nothing to do, expected --do_train, --do_mask or both")
    if options.do_mask and len(data.train_datasets) > 1:
        raise UserError(
            f"--do_mask with --train_datasets {','.join(data.train_datasets)}: expected one task; "
            "masks of several are merged by construct_mtl_mask.py"
        )

    from mt_dnn.runs.lock import locked
    from mt_dnn.runs.run import Run, outcome_options
    from mt_dnn.runtime.distributed import on_main_process, process_group
    from mt_dnn.runtime.log import print_line
    from mt_dnn.tickets.masks import write_masks
    from mt_dnn.tickets.ticket import DENSE, parse_sparsity

    for sparsity in masks.sparsities:
        parse_sparsity(sparsity)  # a bad one is refused now, not after the training
    files = RunFolder(options.output_dir)
    run = Run(
        files,
        "dense",
        dict.fromkeys(data.train_datasets, DENSE),
        options.seed,
        outcome_options(data, model, optimization),
        keep_model=True,
    )

    def what_is_left():
        train = options.do_train and not run.is_finished()
        if options.do_mask and files.result.exists():
            refuse_other_config(files.folder, read_run_config(files.config), {"holdout": data.holdout})
        score = options.do_mask and (train or not (files.importance.exists() and files.heat_map.exists()))
        return train, score

    with process_group(machine.device):
        if any(on_main_process(what_is_left)):
            from mt_dnn.runs.session import Session

            session = Session(data, model, optimization, machine)
        with locked(files, wait=True):
            train, score = on_main_process(what_is_left)
            if train or score:
                on_main_process(lambda: files.importance.unlink(missing_ok=True))  # scores of an earlier model
                fine_tuned = session.do(run) if train else None
                if score:
                    session.score(files, fine_tuned, masks.importance_per, options.seed)
            else:
                on_main_process(run.remove_checkpoints)
                print_line(f"{files.folder}: {'fine-tuned and scored' if options.do_mask else 'fine-tuned'} before")
            if options.do_mask:
                levels = on_main_process(lambda: write_masks(files, data, masks, options.seed))
                print_line(f"{files.masks}: winning, random and losing masks at {levels} levels")


if __name__ == "__main__":
    open_door(main)

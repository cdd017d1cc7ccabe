"""Fine-tune BERT on a task, score its heads and FFNs, write winning, losing and random masks; or on several tasks (MT-DNN)."""

from data_utils.files import RunFolder, UserError, open_door, read_json
from mt_dnn.config import DataOptions, MachineOptions, MaskOptions, ModelOptions, OptimizationOptions, TrainOptions, parse_options, refuse_other_config


def main():
    options, data, model, optimization, masks, machine = parse_options(
        __doc__, TrainOptions, DataOptions, ModelOptions, OptimizationOptions, MaskOptions, MachineOptions)
    if not (options.do_train or options.do_mask):
        raise UserError("nothing to do, expected --do_train, --do_mask or both")
    if options.do_mask and len(data.train_datasets) > 1:
        raise UserError(f"--do_mask with --train_datasets {','.join(data.train_datasets)}: expected one task; masks of several are merged by construct_mtl_mask.py")

    from mt_dnn.claim import claimed
    from mt_dnn.distributed import joined, once
    from mt_dnn.log import say
    from mt_dnn.masks import write_masks
    from mt_dnn.run import Run, outcome_options
    from mt_dnn.ticket import DENSE, parse_sparsity
    for sparsity in masks.sparsities:
        parse_sparsity(sparsity)  # a bad one is refused now, not after the training
    files = RunFolder(options.output_dir)
    run = Run(files, "dense", dict.fromkeys(data.train_datasets, DENSE), options.seed, outcome_options(data, model, optimization), keep_model=True)

    def what_is_left():
        train = options.do_train and not run.is_finished()
        if options.do_mask and files.result.exists():
            refuse_other_config(files.folder, read_json(files.config, "the options of a run"), {"holdout": data.holdout})
        score = options.do_mask and (train or not (files.importance.exists() and files.heat_map.exists()))
        return train, score

    with joined(machine.device):
        if any(once(what_is_left)):
            from mt_dnn.session import Session
            session = Session(data, model, optimization, machine)
        with claimed(files, wait=True):
            train, score = once(what_is_left)
            if train or score:
                once(lambda: files.importance.unlink(missing_ok=True))  # scores of an earlier model
                fine_tuned = session.do(run) if train else None
                if score:
                    session.score(files, fine_tuned, masks.importance_per, options.seed)
            else:
                once(run.remove_checkpoints)
                say(f"{files.folder}: {'fine-tuned and scored' if options.do_mask else 'fine-tuned'} before")
            if options.do_mask:
                levels = once(lambda: write_masks(files, data, masks, options.seed))
                say(f"{files.masks}: winning, random and losing masks at {levels} levels")


if __name__ == "__main__":
    open_door(main)

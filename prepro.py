"""Tokenize raw GLUE-style files: <raw_dir>/*.tsv -> <data_dir>/<task>_<split>/."""

from pathlib import Path

from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.flags.commands import PreproOptions
from mt_dnn.flags.parser import parse_options


def main() -> None:
    (options,) = parse_options(__doc__, PreproOptions)

    from data_utils.tasks import read_tasks, select_tasks

    tasks = read_tasks(options.task_def)
    tasks = select_tasks(tasks, options.tasks or list(tasks), options.task_def)

    from data_utils.hub import load_tokenizer
    from data_utils.tokenize_split import tokenize_split
    from mt_dnn.runtime.memory import memory_advice

    with memory_advice("end other programs that use it"):
        tokenizer, missing = load_tokenizer(options.init_checkpoint), {}
    for task in tasks:
        for split, layout in task.splits.items():
            if (Path(options.raw_dir) / layout.file).is_file():
                folders = options.raw_dir, options.data_dir
                line = tokenize_split(*folders, task, split, tokenizer, options.max_seq_len, options.skip_bad_rows)
                print(line, flush=True)
            else:
                missing.setdefault(task.name, []).append(layout.file)
    if missing:
        files = ", ".join(file for of_task in missing.values() for file in of_task)
        raise UserError(
            f"{options.raw_dir}: no {files}, expected the files of {', '.join(missing)}; get them with download.sh, or "
            "name the tasks that you have with --tasks (what is there was tokenized)"
        )


if __name__ == "__main__":
    run_main(main)

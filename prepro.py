"""Tokenize raw GLUE-style files: <raw_dir>/*.tsv -> <data_dir>/<task>_<split>/.

Test splits are left out: predictions for them are made from the raw files.
"""

from pathlib import Path

from data_utils.cli import one_line, run_main
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
    from mt_dnn.runtime.memory import memory_errors

    splits = [(task, split) for task in tasks for split in ("train", *task.dev_sets.values())]
    missing: dict[str, list[str]] = {}
    problems: list[str] = []
    with memory_errors():
        tokenizer = load_tokenizer(options.init_checkpoint)
        for task, split in splits:
            file = task.splits[split].file
            raw = Path(options.raw_dir) / file
            try:
                if not raw.is_file():
                    missing.setdefault(task.name, []).append(file)
                    continue
                line = tokenize_split(
                    raw, options.data_dir, task, split, tokenizer, options.max_seq_len, options.skip_bad_rows
                )
                print(line, flush=True)
            except UserError as error:  # the other splits do not need this one
                problems.append(str(error))
            except PermissionError as error:
                if str(error.filename) != str(raw):  # where the splits go
                    raise
                problems.append(f"{error.filename}: {error.strerror}")
    if missing:
        files = ", ".join(file for of_task in missing.values() for file in of_task)
        problems.append(
            f"{options.raw_dir}: no {files}, expected the files of {', '.join(missing)}; get them with download.sh, or "
            "name the tasks that you have with --tasks (what is there was tokenized)"
        )
    if problems:
        *others, last = dict.fromkeys(problems)  # a tokenizer that can't pad is the same problem for every split
        for problem in others:
            print(f"also: {one_line(problem)}")
        raise UserError(last + (f" ({len(others)} more above)" if others else ""))


if __name__ == "__main__":
    run_main(main)

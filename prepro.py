"""Tokenize raw GLUE-style files: <raw_dir>/*.tsv -> <data_dir>/<task>_<split>/."""

from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.files import sha256
from mt_dnn.flags.commands import PreproOptions
from mt_dnn.flags.parser import parse_options

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from data_utils.tasks import Task


def main() -> None:
    (options,) = parse_options(__doc__, PreproOptions)

    from data_utils.tasks import read_tasks, select_tasks

    tasks = read_tasks(options.task_def)
    tasks = select_tasks(tasks, options.tasks or list(tasks), options.task_def)

    from data_utils.hub import load_tokenizer
    from mt_dnn.runtime.memory import memory_advice

    with memory_advice("end other programs that use it"):
        tokenizer, missing = load_tokenizer(options.init_checkpoint), {}
    for task in tasks:
        for split, layout in task.splits.items():
            if (Path(options.raw_dir) / layout.file).is_file():
                tokenize_split(task, split, tokenizer, options)
            else:
                missing.setdefault(task.name, []).append(layout.file)
    if missing:
        files = ", ".join(file for of_task in missing.values() for file in of_task)
        raise UserError(
            f"{options.raw_dir}: no {files}, expected the files of {', '.join(missing)}; get them with download.sh, or "
            "name the tasks that you have with --tasks (what is there was tokenized)"
        )


def tokenize_split(task: "Task", split: str, tokenizer: "PreTrainedTokenizerBase", options: PreproOptions) -> None:
    """Tokenize one split, or skip it if it is up to date. Print a line that says which."""
    from tqdm import tqdm

    from data_utils.tokenize_split import describe_tokenizer, up_to_date_header, write_split
    from data_utils.tokenized import split_folder
    from data_utils.tsv import read_rows

    layout, folder = task.splits[split], split_folder(options.data_dir, task.name, split)
    raw = Path(options.raw_dir) / layout.file
    made_from = {
        "file": layout.file,
        "sha256": sha256(raw),
        "text": list(layout.text),
        "label": layout.label,
        "labels": list(task.labels),
        "drop_labels": list(task.drop_labels),
        "drop_incomplete": task.drop_incomplete,
        "skip_bad_rows": options.skip_bad_rows,
        "max_seq_len": options.max_seq_len,
        "tokenizer": describe_tokenizer(tokenizer),
    }
    header, state = up_to_date_header(folder, task, split, made_from), "up to date"
    if header is None:
        dropped, state = {}, "written"
        rows = read_rows(raw, task, layout, dropped, options.skip_bad_rows)
        with tqdm(desc=f"{task.name} {split}", unit=" rows", disable=None) as bar:
            header = write_split(
                folder, rows, task, split, tokenizer, options.max_seq_len, made_from, dropped, bar.update
            )
    why = "".join(f", {count} dropped ({reason})" for reason, count in header["rows_dropped"].items())
    cut = header["rows_as_long_as_max_seq_len"]
    cut_in_words = f", {cut} of them cut to {options.max_seq_len} or exactly as long" if cut else ""
    tokens_per_row = header["tokens"] / header["rows"]
    print(f"{folder}: {header['rows']} rows, {tokens_per_row:.1f} tokens each{cut_in_words}{why}; {state}", flush=True)


if __name__ == "__main__":
    open_door(main)

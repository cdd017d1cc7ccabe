"""Tokenize a split: rows of texts become the flat arrays of tokenized.py."""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from data_utils.advice import advice
from data_utils.errors import UserError
from data_utils.files import sha256, write_folder_whole
from data_utils.json_file import fingerprint_of, write_json
from data_utils.tasks import Task, split_folder_name
from data_utils.tokenized import read_array, read_header, split_folder
from data_utils.tsv import Row, read_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILES = {"header.json", "tokens.bin", "types.bin", "ends.bin", "labels.bin"}
CHUNK = 4096  # rows tokenized at a time: bounds the memory, whatever the size of the split


def tokenize_split(
    raw: Path,
    data_dir: str | Path,
    task: Task,
    split: str,
    tokenizer: "PreTrainedTokenizerBase",
    max_seq_len: int,
    skip_bad_rows: bool,
) -> str:
    """Tokenize the file `raw` into the split's folder in `data_dir`, unless it is up to date. Return a line about it.

    `max_seq_len`: see write_split(); `skip_bad_rows`: see read_rows(). Raises UserError for bad rows or columns, and if
    the folder has another split.
    """
    layout, folder = task.splits[split], split_folder(data_dir, task.name, split)
    made_from = {
        "file": layout.file,
        "sha256": sha256(raw),
        "text": list(layout.text),
        "label": layout.label,
        "labels": list(task.labels),
        "drop_labels": list(task.drop_labels),
        "drop_incomplete": task.drop_incomplete,
        "skip_bad_rows": False,
        "max_seq_len": max_seq_len,
        "tokenizer": describe_tokenizer(tokenizer),
    }
    columns = {"columns": layout.columns} if layout.columns else {}  # decides which rows are left out, where any are
    made_from |= columns if task.drop_incomplete else {}
    header, state = up_to_date_header(folder, task, split, made_from), "up to date"
    if header is None and skip_bad_rows:  # made without the flag it has no bad rows, so it is the same with the flag
        made_from |= {"skip_bad_rows": True, **columns}
        header = up_to_date_header(folder, task, split, made_from)
    if header is None:
        state, dropped = "written", {}
        rows = read_rows(raw, task, layout, dropped, skip_bad_rows)
        bar = tqdm(rows, f"{task.name} {split}", unit=" rows", disable=None)
        try:
            header = write_split(folder, bar, task, split, tokenizer, max_seq_len, made_from, dropped)
        except UserError as error:
            if not (folder / "header.json").exists():
                raise
            raise UserError(f"{error}; {folder} still holds the rows of an earlier call") from None
    cut = header["rows_as_long_as_max_seq_len"]
    cut_in_words = f", {cut} of them with {max_seq_len} tokens (cut, or exactly that long)" if cut else ""
    why = "".join(f", {count} dropped ({reason})" for reason, count in header["rows_dropped"].items())
    tokens_per_row = header["tokens"] / header["rows"]
    return f"{folder}: {header['rows']} rows, {tokens_per_row:.1f} tokens each{cut_in_words}{why}; {state}"


def describe_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> dict[str, str]:
    """Return {"name": ..., "fingerprint": ...} of a tokenizer.

    Two tokenizers that cut text in the same way have the same fingerprint.

    Raises UserError for a tokenizer that is not one of the library's fast ones, or that can't pad.
    """
    rules = getattr(tokenizer, "backend_tokenizer", None)
    if rules is None or tokenizer.pad_token_id is None:
        lacks = "fast version" if rules is None else "padding token"
        raise UserError(
            f"{tokenizer.name_or_path}: a tokenizer without a {lacks}, expected that of an encoder like BERT"
        )
    rules = json.loads(rules.to_str())
    for setting in ("truncation", "padding"):  # left by the last call
        rules.pop(setting, None)
    return {"name": Path(tokenizer.name_or_path).name, "fingerprint": fingerprint_of(rules)}


def up_to_date_header(folder: Path, task: Task, split: str, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """Return the header of the split in `folder` if it is whole, and was made from exactly `made_from` and for this
    kind of task, else None.

    Raises UserError if the folder has the split of another task. (Two names can give the same folder.)
    """
    try:
        header = read_header(folder)
    except UserError:
        return None
    found = header["task"], header["split"]
    if found != (task.name, split) and split_folder_name(*found) == folder.name:
        raise UserError(
            f"{folder}: holds split '{found[1]}' of task '{found[0]}', expected '{split}' of '{task.name}' or nothing; "
            f"rename one of the tasks or splits, or take another {advice('--data_dir')}"
        )
    if (*found, header["kind"]) != (task.name, split, task.kind.name) or header["made_from"] != made_from:
        return None
    try:
        for name in header["arrays"]:
            read_array(folder, header, name)
    except UserError:
        return None
    return header


def refuse_other_files(folder: Path) -> None:
    """Raise UserError if `folder` has files that no tokenized split has: it would be replaced with all of them."""
    others = {path.name for path in folder.iterdir()} - FILES if folder.is_dir() else set()
    if others:
        raise UserError(
            f"{folder}: has {min(others)}, expected a tokenized split, which is replaced, or nothing of that name; "
            f"take another {advice('--data_dir')}"
        )


class _ArrayFile:
    """An array that is written in parts; `sha256` is the fingerprint of what has been written."""

    def __init__(self, file: IO[bytes], dtype: str) -> None:
        self.file, self.dtype, self.sha256 = file, dtype, hashlib.sha256()

    def write(self, values: Iterable[Any]) -> None:
        part = np.fromiter(values, self.dtype).tobytes()
        self.file.write(part)
        self.sha256.update(part)


def write_split(
    folder: str | Path,
    rows: Iterable[Row],
    task: Task,
    split: str,
    tokenizer: "PreTrainedTokenizerBase",
    max_seq_len: int,
    made_from: dict[str, Any],
    dropped: dict[str, int],
) -> dict[str, Any]:
    """Tokenize `rows` into `folder`, whole or not at all. Return the header.

    Pairs longer than `max_seq_len` tokens lose tokens from the longer sentence first. `made_from` is kept in the
    header; it shows later whether the split is up to date. `dropped`: left-out rows by reason, read after the last row.

    Raises UserError if the folder has other files.
    """
    refuse_other_files(Path(folder))
    dtypes = {
        "tokens": "uint16" if len(tokenizer) <= 2**16 else "uint32",
        "types": "uint8",
        "ends": "int64",
        "labels": task.kind.label_type,
    }
    if task.splits[split].label is None:
        del dtypes["labels"]
    rows = iter(rows)
    n_rows, end, longest, cut = 0, 0, 0, 0
    with write_folder_whole(folder) as beside:
        with contextlib.ExitStack() as stack:
            arrays = {
                name: _ArrayFile(stack.enter_context(open(beside / f"{name}.bin", "wb")), dtype)
                for name, dtype in dtypes.items()
            }
            while chunk := list(itertools.islice(rows, CHUNK)):
                first, second = [row.texts[0] for row in chunk], [row.texts[1] for row in chunk if len(row.texts) > 1]
                encoded = tokenizer(
                    first,
                    second or None,
                    truncation=True,
                    max_length=max_seq_len,
                    return_attention_mask=False,
                    return_token_type_ids=True,
                )
                lengths = np.fromiter(map(len, encoded["input_ids"]), np.int64, len(chunk))
                ends = end + np.cumsum(lengths)
                arrays["tokens"].write(itertools.chain.from_iterable(encoded["input_ids"]))
                arrays["types"].write(itertools.chain.from_iterable(encoded["token_type_ids"]))
                arrays["ends"].write(ends)
                if "labels" in arrays:
                    arrays["labels"].write(row.label for row in chunk)
                n_rows, end, longest = n_rows + len(chunk), int(ends[-1]), max(longest, int(lengths.max()))
                cut += int((lengths >= max_seq_len).sum())
        header = {
            "task": task.name,
            "split": split,
            "kind": task.kind.name,
            "labels": list(task.labels),
            "rows": n_rows,
            "rows_dropped": dropped,
            "tokens": end,
            "longest_row": longest,
            "rows_as_long_as_max_seq_len": cut,
            "pad_id": tokenizer.pad_token_id,
            "arrays": {
                name: {"type": array.dtype, "sha256": array.sha256.hexdigest()} for name, array in arrays.items()
            },
            "made_from": made_from,
        }
        header["fingerprint"] = fingerprint_of(header)
        write_json(beside / "header.json", header)
    return header

"""A tokenized split: flat arrays on disk, memory-mapped, with a readable header.

<data_dir>/rte_train/header.json   task, split, labels, rows, rows dropped and why, tokenizer, what it was made from
                     tokens.bin    all token ids, one row after another
                     types.bin     token type ids (0 first sentence, 1 second), as many as tokens
                     ends.bin      where each row ends in tokens.bin
                     labels.bin    class ids or values; absent for rows to predict

The header holds the fingerprint (SHA-256) of each array, and one of itself, so that no damage goes unnoticed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_utils.advice import advice
from data_utils.check import TEXT, Expectation, check, fields, integer, list_of, mapping_of, one_of, value_that
from data_utils.errors import UserError
from data_utils.files import reading, sha256
from data_utils.json_file import fingerprint_of, read_json
from data_utils.tasks import Task, split_folder_name

if TYPE_CHECKING:
    import torch

AGAIN = "run prepro.py again"
DECIDES_ROWS = "sha256", "text", "label", "drop_labels", "drop_incomplete", "skip_bad_rows"  # of what it is made from
PART = 2**20  # tokens that are looked through at a time


def _array(*types: str) -> Expectation:
    return fields({"type": one_of(*types), "sha256": TEXT})


HEADER = fields(
    {
        "fingerprint": TEXT,
        "task": TEXT,
        "split": TEXT,
        "kind": TEXT,
        "labels": list_of(TEXT),
        "rows": integer(1),
        "rows_dropped": mapping_of(integer(1)),
        "tokens": integer(1),
        "longest_row": integer(1),
        "rows_as_long_as_max_seq_len": integer(0),
        "pad_id": integer(0),
        "arrays": fields(
            {"tokens": _array("uint16", "uint32"), "types": _array("uint8"), "ends": _array("int64")},
            optional={"labels": _array("int64", "float64")},
        ),
        "made_from": value_that("what the split was made from", lambda value: isinstance(value, dict)),
    }
)


def split_folder(data_dir: str | Path, task: str, split: str) -> Path:
    """Return the folder of a tokenized split."""
    return Path(data_dir) / split_folder_name(task, split)


def data_fingerprints(data_dir: str | Path, task: Task, splits: Iterable[str]) -> dict[str, str]:
    """Return {folder name: fingerprint of what the split was made from}. Reads the headers only.

    Raises UserError for a split that was made for another task, or from other columns than `task` says, and for splits
    with rows that were cut at different lengths.
    """
    folders = {split: split_folder(data_dir, task.name, split) for split in splits}
    headers = {split: read_header(folder) for split, folder in folders.items()}
    for split, header in headers.items():
        _refuse_other_split(header, folders[split], task, split)
    longest = {split: header["made_from"]["max_seq_len"] for split, header in headers.items()}
    some_cut = any(header["rows_as_long_as_max_seq_len"] for header in headers.values())
    first, *others = longest
    for split in others:
        if some_cut and longest[split] != longest[first]:
            raise UserError(
                f"{folders[split]}: tokenized with --max_seq_len {longest[split]}, expected {longest[first]}, as for "
                f"{folders[first]}; {AGAIN} for both"
            )
    return {folders[split].name: fingerprint_of(header["made_from"]) for split, header in headers.items()}


def training_rows_fingerprint(data_dir: str | Path, task: str) -> str:
    """Return the fingerprint of which training rows a task has, and in which order, however they were tokenized."""
    header = read_header(split_folder(data_dir, task, "train"))
    made_from = header["made_from"]
    decides = {key: made_from.get(key) for key in DECIDES_ROWS}
    if "columns" in made_from:
        decides["columns"] = made_from["columns"]
    if made_from.get("skip_bad_rows"):  # rows with a label that is none of the task's are left out
        decides |= {"kind": header["kind"], "labels": header["labels"]}
    return fingerprint_of(decides)


def _refuse_other_split(header: dict[str, Any], folder: Path, task: Task, split: str) -> None:
    """Raise UserError unless the split in `folder` was made for `split` of `task`, from the columns that it names."""
    layout, made_from = task.splits[split], header["made_from"]
    columns = {
        "text": list(layout.text),
        "label": layout.label,
        "columns": layout.columns,
        "drop_labels": list(task.drop_labels),
        "drop_incomplete": task.drop_incomplete,
    }
    expected = {"task": task.name, "split": split, "kind": task.kind.name, "labels": list(task.labels)}
    compared = [(key, header[key], wanted) for key, wanted in expected.items()]
    # What is missing counts as equal: `columns` is there only where it decides which rows are kept, and rows to predict
    # come from no file.
    compared += [(f"made_from.{key}", made_from.get(key, wanted), wanted) for key, wanted in columns.items()]
    for key, found, wanted in compared:
        if found != wanted:
            raise UserError(
                f"{folder}/header.json: {key}: {found!r}, expected {wanted!r}, as the task says; "
                f"undo the change of the task, or {AGAIN}"
            )


def read_header(folder: Path) -> dict[str, Any]:
    """Return the header of the split in `folder`; raise UserError unless it is as write_split() wrote it."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file, expected the folder of a tokenized split; move it away and {AGAIN}")
    if not folder.exists():
        raise UserError(
            f"{folder}: no such tokenized split, expected one; make it with prepro.py --data_dir {folder.parent}, "
            f"or take another {advice('--data_dir')}"
        )
    path = folder / "header.json"
    header = read_json(path, "the header of a tokenized split")
    check(HEADER, header, path, advice=AGAIN)
    fingerprint = fingerprint_of({key: value for key, value in header.items() if key != "fingerprint"})
    if fingerprint != header["fingerprint"]:
        raise UserError(
            f"{path}: fingerprint: {header['fingerprint']}, expected {fingerprint} for what stands there; "
            f"the file was changed by hand or is damaged, {AGAIN}"
        )
    return header


def read_array(folder: Path, header: dict[str, Any], name: str) -> np.ndarray:
    """Return one array of a split, mapped into memory; raise UserError unless its size and fingerprint are right."""
    path, array = folder / f"{name}.bin", header["arrays"][name]
    length = header["tokens" if name in ("tokens", "types") else "rows"]
    wanted, size = length * np.dtype(array["type"]).itemsize, path.stat().st_size if path.exists() else 0
    if size != wanted:
        raise UserError(f"{path}: {size} bytes, expected {wanted}; the split is damaged, {AGAIN}")
    if sha256(path) != array["sha256"]:
        raise UserError(
            f"{path}: its content has another fingerprint than header.json says, expected that of prepro.py; "
            f"the split is damaged, {AGAIN}"
        )
    with reading(path):
        return np.memmap(path, array["type"], "r", shape=length)


@dataclass(eq=False)
class TokenizedSplit:
    """A tokenized split in memory, or on disk: read_split() maps `tokens` and `types`, which are read as they are used.

    `tokens`, `types`: token ids and token types of all rows, one row after another, (tokens,); `starts`, `lengths`:
    where each row starts in them, and how many tokens it has, (rows,); `labels`: (rows,) or None; `header`: what
    header.json holds, at least `pad_id`; `folder`: where it was read from.
    """

    tokens: np.ndarray
    types: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray | None
    header: dict[str, Any]
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, rows: np.ndarray) -> "TokenizedSplit":
        """Return a split of `rows` (indices) alone, in their order."""
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows], labels=labels)

    def rows(self) -> Iterator[bytes]:
        """Yield the token ids of every row as bytes, to find equal rows."""
        tokens = np.asarray(self.tokens)
        for start, length in zip(self.starts, self.lengths):
            yield tokens[start : start + length].tobytes()

    def tokens_in_parts(self) -> Iterator[np.ndarray]:
        """Yield the token ids of the whole split, PART at a time; a part() of it yields all of them, too."""
        for start in range(0, len(self.tokens), PART):
            yield self.tokens[start : start + PART]

    def batch(self, rows: np.ndarray, padded_length: int | None = None) -> dict[str, "torch.Tensor"]:
        """Return the batch of `rows` (indices) as torch tensors, padded to its longest row, or to `padded_length`.

        input_ids, token_type_ids: (batch, length) int64; attention_mask: the same, 0 at padding, where there is any;
        labels: (batch,), where the split has them.
        """
        import torch

        lengths = self.lengths[rows]
        ids = np.full((len(rows), padded_length or lengths.max()), self.header["pad_id"], np.int64)
        types = np.zeros_like(ids)
        for i, (start, length) in enumerate(zip(self.starts[rows], lengths)):
            ids[i, :length] = self.tokens[start : start + length]
            types[i, :length] = self.types[start : start + length]
        batch = {"input_ids": ids, "token_type_ids": types}
        if lengths.min() < ids.shape[1]:
            batch["attention_mask"] = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
        if self.labels is not None:
            batch["labels"] = self.labels[rows]
        return {name: torch.from_numpy(array) for name, array in batch.items()}


def read_split(data_dir: str | Path, task: Task, split: str, tokenizer: dict[str, str] | None = None) -> TokenizedSplit:
    """Return a split that prepro.py wrote. `tokenizer`: that of the encoder, as describe_tokenizer gives it.

    Raises UserError unless the split is just as prepro.py wrote it, and fits `task` and `tokenizer`.
    """
    folder = split_folder(data_dir, task.name, split)
    header = read_header(folder)
    _refuse_other_split(header, folder, task, split)
    made = header["made_from"].get("tokenizer", {})
    if tokenizer is not None and made.get("fingerprint") != tokenizer["fingerprint"]:
        raise UserError(
            f"{folder}: tokenized for '{made.get('name')}', expected the tokenizer of '{tokenizer['name']}'; "
            f"run prepro.py with that tokenizer, or take another {advice('--init_checkpoint')}"
        )
    arrays = {name: read_array(folder, header, name) for name in header["arrays"]}
    starts = np.concatenate([[0], arrays["ends"][:-1]])
    lengths = arrays["ends"] - starts
    return TokenizedSplit(arrays["tokens"], arrays["types"], starts, lengths, arrays.get("labels"), header, folder)

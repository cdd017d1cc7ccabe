"""A tokenized split: flat arrays on disk, memory-mapped, with a readable header.

<data_dir>/rte_train/header.json   task, split, labels, rows, rows dropped and why, tokenizer, what it was made from
                     tokens.bin    all token ids, one row after another
                     types.bin     token type ids (0 first sentence, 1 second), as many as tokens
                     ends.bin      where each row ends in tokens.bin
                     labels.bin    class ids or values; absent where the raw file has no labels

The header holds the fingerprint (SHA-256) of each array, and one of itself, so that no damage goes unnoticed.
"""

import contextlib
import copy
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from data_utils.check import TEXT, Expectation, check, fields, integer, list_of, mapping_of, one_of, value_that
from data_utils.errors import UserError
from data_utils.files import sha256, write_folder_whole
from data_utils.json_file import read_json, write_json
from data_utils.tasks import Task, split_name
from data_utils.tsv import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

CHUNK = 4096  # rows tokenized at a time: bounds the memory, whatever the size of the split
AGAIN = "run prepro.py again"


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
    """The folder of one tokenized split."""
    return Path(data_dir) / split_name(task, split)


def describe_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> dict[str, str]:
    """Name and fingerprint of a tokenizer: two that cut text in the same way give the same fingerprint.

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
    return {"name": Path(tokenizer.name_or_path).name, "fingerprint": _fingerprint(rules)}


def _fingerprint(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def data_fingerprints(data_dir: str | Path, task: Task, splits: Iterable[str]) -> dict[str, str]:
    """Return {folder name: fingerprint of what the split was made from}, without opening the arrays."""
    folders = [split_folder(data_dir, task.name, split) for split in splits]
    return {folder.name: _fingerprint(_read_header(folder)["made_from"]) for folder in folders}


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
    rows: Iterator[Row],
    task: Task,
    split: str,
    tokenizer: "PreTrainedTokenizerBase",
    max_seq_len: int,
    made_from: dict[str, Any],
    dropped: dict[str, int],
    progress: Callable[[int], object],
) -> dict[str, Any]:
    """Tokenize `rows` into `folder`, whole or not at all. Return the header.

    Pairs longer than `max_seq_len` tokens lose tokens from the longer sentence first. `made_from` is
    kept in the header, to see later whether the split is up to date; `dropped` (rows by reason) is read after the
    last row. `progress` is called with the number of rows after each chunk.
    """
    dtypes = {
        "tokens": "uint16" if len(tokenizer) <= 2**16 else "uint32",
        "types": "uint8",
        "ends": "int64",
        "labels": task.kind.label_type,
    }
    if task.splits[split].label is None:
        del dtypes["labels"]
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
                progress(len(chunk))
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
        header["fingerprint"] = _fingerprint(header)
        write_json(beside / "header.json", header)
    return header


def up_to_date_header(folder: Path, task: Task, split: str, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """Return the header of the split in `folder` if it is whole and made from exactly `made_from`, else None.

    Raises UserError if the folder is that of another task's split: two names can give one folder.
    """
    try:
        header = _read_header(folder)
    except UserError:
        return None
    found = header["task"], header["split"]
    if found != (task.name, split) and split_name(*found) == folder.name:
        raise UserError(
            f"{folder}: split '{found[1]}' of task '{found[0]}', expected to be free for '{split}' of '{task.name}'; "
            "rename one of them, or take another --data_dir"
        )
    if found != (task.name, split) or header["made_from"] != made_from:
        return None
    try:
        for name in header["arrays"]:
            _read_array(folder, header, name)
    except UserError:
        return None
    return header


def _read_header(folder: Path) -> dict[str, Any]:
    """Return the header of the split in `folder`; raise UserError unless it is there, just as write_split wrote it."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file, expected the folder of a tokenized split; move it away and {AGAIN}")
    if not folder.exists():
        raise UserError(
            f"{folder}: no such tokenized split, expected one; make it with prepro.py --data_dir {folder.parent}"
        )
    path = folder / "header.json"
    header = read_json(path, "the header of a tokenized split")
    check(HEADER, header, path, advice=AGAIN)
    fingerprint = _fingerprint({key: value for key, value in header.items() if key != "fingerprint"})
    if fingerprint != header["fingerprint"]:
        raise UserError(
            f"{path}: fingerprint: {header['fingerprint']}, expected {fingerprint} for what stands there; "
            f"the file was changed by hand or is damaged, {AGAIN}"
        )
    return header


def _read_array(folder: Path, header: dict[str, Any], name: str) -> np.ndarray:
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
    return np.memmap(path, array["type"], "r", shape=length)


class TokenizedSplit:
    """A tokenized split read from disk; arrays stay on disk until they are touched.

    Attributes: `lengths` (rows,) tokens per row; `labels` (rows,) or None; `header`.
    """

    labels: np.ndarray | None

    def __init__(self, data_dir: str | Path, task: Task, split: str, tokenizer: dict[str, str] | None = None) -> None:
        """Open the split. `tokenizer`: that of the encoder, as describe_tokenizer gives it.

        Raises UserError unless the split is just as prepro.py wrote it, and fits `task` and `tokenizer`.
        """
        self.folder = folder = split_folder(data_dir, task.name, split)
        self.header = _read_header(folder)
        expected = {"task": task.name, "split": split, "kind": task.kind.name, "labels": list(task.labels)}
        for key, wanted in expected.items():
            if (found := self.header[key]) != wanted:
                raise UserError(
                    f"{folder}/header.json: {key}: {found!r}, expected {wanted!r}, as the task says; {AGAIN}"
                )
        if tokenizer is not None:
            made = self.header["made_from"].get("tokenizer", {})
            if made.get("fingerprint") != tokenizer["fingerprint"]:
                raise UserError(
                    f"{folder}: tokenized for '{made.get('name')}', expected the tokenizer of '{tokenizer['name']}' "
                    "(--init_checkpoint); run prepro.py with that tokenizer"
                )
        arrays = {name: _read_array(folder, self.header, name) for name in self.header["arrays"]}
        self._tokens, self._types, ends = arrays["tokens"], arrays["types"], arrays["ends"]
        self._starts = np.concatenate([[0], ends[:-1]])
        self.lengths = ends - self._starts
        self.labels = arrays.get("labels")

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, rows: np.ndarray) -> "TokenizedSplit":
        """Return a split of `rows` (indices) alone, in their order."""
        part = copy.copy(self)
        part._starts, part.lengths, part.labels = (
            self._starts[rows],
            self.lengths[rows],
            None if self.labels is None else self.labels[rows],
        )
        return part

    def tokens_in_parts(self) -> Iterator[np.ndarray]:
        """Yield all token ids, a million at a time; a part() yields those of the whole split, too."""
        for start in range(0, len(self._tokens), 2**20):
            yield self._tokens[start : start + 2**20]

    def batch(self, rows: np.ndarray, padded_length: int | None = None) -> dict[str, "torch.Tensor"]:
        """Return the batch of `rows` (indices) as torch tensors, padded to its longest row, or to `padded_length`.

        input_ids, token_type_ids: (batch, length) int64; attention_mask: the same, 0 at padding, where there is any;
        labels: (batch,), where the split has them.
        """
        import torch

        lengths = self.lengths[rows]
        ids = np.full((len(rows), padded_length or lengths.max()), self.header["pad_id"], np.int64)
        types = np.zeros_like(ids)
        for i, (start, length) in enumerate(zip(self._starts[rows], lengths)):
            ids[i, :length] = self._tokens[start : start + length]
            types[i, :length] = self._types[start : start + length]
        batch = {"input_ids": ids, "token_type_ids": types}
        if lengths.min() < ids.shape[1]:
            batch["attention_mask"] = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
        if self.labels is not None:
            batch["labels"] = self.labels[rows]
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.items()}

"""A tokenized split: flat arrays on disk, memory-mapped, with a readable header.

<data_dir>/rte_train/header.json   task, labels, rows, rows dropped and why, tokenizer, what it was made from
                     tokens.bin    all token ids, one row after another
                     types.bin     token type ids (0 first sentence, 1 second), as many as tokens
                     ends.bin      where each row ends in tokens.bin
                     labels.bin    class ids or values; absent where the raw file has no labels
"""

import contextlib
import copy
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np

from data_utils.errors import UserError
from data_utils.files import write_folder_whole
from data_utils.json_file import read_json, write_json

CHUNK = 4096  # rows tokenized at a time: bounds the memory, whatever the size of the split


def split_folder(data_dir, task, split):
    """The folder of one tokenized split."""
    return Path(data_dir) / f"{task}_{split}"


def describe_tokenizer(tokenizer):
    """Name and fingerprint of a tokenizer: two that cut text in the same way give the same fingerprint."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    for setting in ("truncation", "padding"):  # left by the last call
        rules.pop(setting, None)
    return {"name": Path(tokenizer.name_or_path).name, "fingerprint": _fingerprint(rules)}


def _fingerprint(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def data_fingerprints(data_dir, task, splits):
    """Return {folder name: fingerprint of what the split was made from}, without opening the arrays."""
    folders = [split_folder(data_dir, task.name, split) for split in splits]
    return {folder.name: _fingerprint(_read_header(folder)["made_from"]) for folder in folders}


def write_split(folder, rows, task, split, tokenizer, max_seq_len, made_from, dropped, progress):
    """Tokenize `rows` (an iterator of tsv.Row) into `folder`, whole or not at all. Return the header.

    Pairs longer than `max_seq_len` tokens lose tokens from the longer sentence first. `made_from` is
    kept in the header, to see later whether the split is up to date; `dropped` is read when the rows
    are all through. `progress` is called with the number of rows after each chunk.
    """
    token_type = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
    label_type = np.int64 if task.kind == "classification" else np.float64
    arrays = {"tokens": token_type, "types": np.uint8, "ends": np.int64, "labels": label_type}
    labeled = task.splits[split].label is not None
    n_rows, end, longest, cut = 0, 0, 0, 0
    with write_folder_whole(folder) as beside:
        with contextlib.ExitStack() as stack:
            files = {
                name: stack.enter_context(open(beside / f"{name}.bin", "wb"))
                for name in arrays
                if labeled or name != "labels"
            }
            while chunk := list(itertools.islice(rows, CHUNK)):
                sentences = zip(*(row.texts for row in chunk))
                encoded = tokenizer(
                    *map(list, sentences),
                    truncation=True,
                    max_length=max_seq_len,
                    return_attention_mask=False,
                    return_token_type_ids=True,
                )
                lengths = np.fromiter(map(len, encoded["input_ids"]), np.int64, len(chunk))
                ends = end + np.cumsum(lengths)
                written = {
                    "tokens": itertools.chain.from_iterable(encoded["input_ids"]),
                    "types": itertools.chain.from_iterable(encoded["token_type_ids"]),
                    "ends": ends,
                    "labels": (row.label for row in chunk),
                }
                for name, file in files.items():
                    np.fromiter(written[name], arrays[name]).tofile(file)
                n_rows, end, longest = n_rows + len(chunk), int(ends[-1]), max(longest, int(lengths.max()))
                cut += int((lengths >= max_seq_len).sum())
                progress(len(chunk))
        header = {
            "task": task.name,
            "split": split,
            "kind": task.kind,
            "labels": list(task.labels),
            "rows": n_rows,
            "rows_dropped": dropped,
            "tokens": end,
            "longest_row": longest,
            "rows_as_long_as_max_seq_len": cut,
            "pad_id": tokenizer.pad_token_id,
            "arrays": {name: np.dtype(arrays[name]).name for name in files},
            "made_from": made_from,
        }
        write_json(beside / "header.json", header)
    return header


def up_to_date_header(folder, made_from):
    """Return the header of the split in `folder` if it is whole and made from exactly `made_from`, else None."""
    try:
        header = _read_header(Path(folder))
        for name in header["arrays"]:
            _check_size(Path(folder), header, name)
    except UserError:
        return None
    return header if header["made_from"] == made_from else None


def _read_header(folder):
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such tokenized split, expected one; make it with prepro.py --data_dir {folder.parent}"
        )
    header = read_json(folder / "header.json", "the header of a tokenized split")
    kinds = {
        "task": str,
        "kind": str,
        "labels": list,
        "rows": int,
        "rows_dropped": dict,
        "tokens": int,
        "longest_row": int,
        "rows_as_long_as_max_seq_len": int,
        "pad_id": int,
        "arrays": dict,
        "made_from": dict,
    }
    wrong = [key for key, kind in kinds.items() if not isinstance(header.get(key), kind)]
    if wrong or not {"tokens", "types", "ends"} <= set(header["arrays"]) <= {"tokens", "types", "ends", "labels"}:
        raise UserError(
            f"{folder}/header.json: {(wrong or ['arrays'])[0]} is missing or not as prepro.py writes it; run prepro.py again"
        )
    return header


def _check_size(folder, header, name):
    """Return (path, type, elements) of one array of a split; raise UserError unless the file has just that size."""
    path = folder / f"{name}.bin"
    if header["arrays"][name] not in ("uint8", "uint16", "uint32", "int64", "float64"):
        raise UserError(
            f"{folder}/header.json: array type {header['arrays'][name]!r} is none that prepro.py writes; run prepro.py again"
        )
    dtype = np.dtype(header["arrays"][name])
    size = header["tokens" if name in ("tokens", "types") else "rows"]
    actual = path.stat().st_size if path.exists() else 0
    if actual != size * dtype.itemsize:
        raise UserError(
            f"{path}: {actual} bytes, expected {size * dtype.itemsize}; the split is damaged, run prepro.py again"
        )
    return path, dtype, size


class TokenizedSplit:
    """A tokenized split read from disk; arrays stay on disk until they are touched.

    Attributes: `lengths` (rows,) tokens per row; `labels` (rows,) or None; `header`.
    """

    def __init__(self, data_dir, task, split, tokenizer=None):
        """Open the split; raise UserError unless it is whole and fits `task` and `tokenizer`, as describe_tokenizer gives it."""
        self.folder = folder = split_folder(data_dir, task.name, split)
        self.header = _read_header(folder)
        for key, wanted in (("task", task.name), ("kind", task.kind), ("labels", list(task.labels))):
            if self.header.get(key) != wanted:
                raise UserError(
                    f"{folder}/header.json: {key} is {self.header.get(key)!r}, but the task file says {wanted!r}; run prepro.py again"
                )
        if tokenizer is not None:
            made = self.header["made_from"].get("tokenizer", {})
            if made.get("fingerprint") != tokenizer["fingerprint"]:
                raise UserError(
                    f"{folder}: tokenized for '{made.get('name')}', expected the tokenizer of '{tokenizer['name']}' "
                    "(--init_checkpoint); run prepro.py with that tokenizer"
                )
        self._tokens, self._types, ends = (self._map(name) for name in ("tokens", "types", "ends"))
        self._starts = np.concatenate([[0], ends[:-1]])
        self.lengths = ends - self._starts
        self.labels = self._map("labels") if "labels" in self.header["arrays"] else None

    def _map(self, name):
        path, dtype, size = _check_size(self.folder, self.header, name)
        return np.memmap(path, dtype, "r", shape=size)

    def __len__(self):
        return len(self.lengths)

    def part(self, rows):
        """Return a split of `rows` (indices) alone, in their order."""
        part = copy.copy(self)
        part._starts, part.lengths, part.labels = (
            self._starts[rows],
            self.lengths[rows],
            None if self.labels is None else self.labels[rows],
        )
        return part

    def tokens_in_parts(self):
        """Yield all token ids, a million at a time; of a part() as well, those of the whole split."""
        for start in range(0, len(self._tokens), 2**20):
            yield self._tokens[start : start + 2**20]

    def batch(self, rows, padded_length=None):
        """Return the batch of `rows` (indices) as torch tensors, padded to its longest row, or to `padded_length`.

        input_ids, token_type_ids: (batch, length) int64; attention_mask: the same, 0 at padding, where there is any;
        labels: (batch,), where there are any.
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

"""Encoders with random weights and texts of random words, with the shapes of real ones: what they cost is the same."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from data_utils.files import write_whole
from data_utils.task_kinds import TASK_KINDS
from data_utils.tasks import Layout, Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.families import encoder_class

SHAPES: dict[str, dict[str, Any]] = {
    "minilm": {
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "hidden_size": 384,
        "intermediate_size": 1536,
    },  # all-MiniLM-L6-v2
    "base": {
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "hidden_size": 768,
        "intermediate_size": 3072,
    },  # bert-base-uncased
}
_TWENTIETHS = [place / 20 for place in range(21)]
# By task: training rows, and {part of the rows: the tokens that they have at most}, [CLS] and [SEP] included. Those of
# RTE and SST-2 were counted with bert-base-uncased's tokenizer. Those of MNLI are made up: only its number of rows, its
# mean of 39 tokens and its longest row of about 440 are known.
TEXTS = {
    "rte": (
        2490,
        dict(
            zip(
                _TWENTIETHS,
                [13, 29, 33, 37, 40, 43, 45, 47, 50, 53, 56, 59, 62, 67, 72, 85, 103, 120, 135, 157, 289],
            )
        ),
    ),
    "sst": (
        67349,
        dict(zip(_TWENTIETHS, [3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 11, 13, 14, 16, 18, 20, 23, 27, 33, 66])),
    ),
    "mnli": (
        392702,
        {0: 6, 0.01: 11, 0.05: 16, 0.25: 26, 0.5: 36, 0.75: 48, 0.9: 62, 0.95: 73, 0.99: 101, 0.999: 165, 1: 440},
    ),
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = 30522


def make_config(shape: str) -> transformers.BertConfig:
    """Return the library's config of a BERT of that shape."""
    return transformers.BertConfig(vocab_size=VOCABULARY, **SHAPES[shape])


def make_encoder(shape: str) -> Encoder:
    """Return a BERT of that shape with random weights."""
    config = make_config(shape)
    return encoder_class(config)._from_config(config, attn_implementation="sdpa")


def make_task(name: str) -> Task:
    """Return a Task with two classes."""
    return Task(
        name,
        kind=TASK_KINDS["classification"],
        labels=("0", "1"),
        metrics=("accuracy",),
        head_dropout=0.1,
        drop_labels=(),
        drop_incomplete=False,
        splits={"train": Layout("train.tsv", ("sentence",), "label", None)},
    )


def lengths_like(texts: str) -> np.ndarray:
    """Return as many row lengths (in tokens) as the task `texts` has, in random order and with its quantiles."""
    rows, quantiles = TEXTS[texts]
    places = np.random.default_rng(0).permutation(np.linspace(0, 1, rows))
    return np.rint(np.interp(places, list(quantiles), list(quantiles.values()))).astype(np.int64)


def word_ids(n: int, seed: int) -> np.ndarray:
    """Return `n` token ids with the frequencies of words (Zipf's law).

    So an epoch uses as much of the vocabulary as a real one does.
    """
    kinds = VOCABULARY - len(SPECIAL)
    weights = 1 / (np.arange(kinds) + 2.7)
    return (len(SPECIAL) + np.random.default_rng(seed).choice(kinds, n, p=weights / weights.sum())).astype(np.uint16)


def make_split(lengths: np.ndarray) -> TokenizedSplit:
    """Return a split in memory: random words and labels; its rows have these `lengths` (in tokens)."""
    tokens = word_ids(int(lengths.sum()), seed=0)
    labels = np.random.default_rng(0).integers(0, 2, len(lengths))
    types, starts = np.zeros(len(tokens), np.uint8), np.cumsum(lengths) - lengths
    return TokenizedSplit(tokens, types, starts, lengths, labels, {"pad_id": 0})


def make_tokenizer() -> transformers.PreTrainedTokenizerBase:
    """Return a tokenizer whose words each are one token."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = (
        "".join(parts) for parts in itertools.product(syllables, repeat=math.ceil(math.log(VOCABULARY, len(syllables))))
    )
    vocabulary = [*SPECIAL, *itertools.islice(words, VOCABULARY - len(SPECIAL))]
    return transformers.BertTokenizer(vocab={word: number for number, word in enumerate(vocabulary)})


def write_texts(folder: Path, name: str, lengths: np.ndarray, dev_lengths: np.ndarray) -> None:
    """Write a raw task called `name` below `folder`; its training and dev rows have these `lengths` (in tokens).

    Its task file is <name>.yml.
    """
    rows = {"train": lengths, "dev": dev_lengths}
    ids = word_ids(sum(int(lengths.sum()) for lengths in rows.values()), seed=1)
    words = iter(make_tokenizer().convert_ids_to_tokens(ids.tolist()))
    for split, lengths in rows.items():
        with write_whole(folder / name / f"{split}.tsv") as file:
            file.write("sentence\tlabel\n")
            for row, length in enumerate(lengths):
                file.write(f"{' '.join(itertools.islice(words, int(length) - 2))}\t{row % 2}\n")
    with write_whole(folder / f"{name}.yml") as file:
        file.write(f"""{name}:
  kind: classification
  labels: ["0", "1"]
  metrics: [accuracy]
  text: [sentence]
  label: label
  splits: {{train: {name}/train.tsv, dev: {name}/dev.tsv}}
""")

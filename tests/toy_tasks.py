"""Learnable toy tasks in GLUE's own file formats."""

import random
from pathlib import Path

from toy import BAD, GOOD, PLAIN

TASK_DEF = "experiments/glue/glue_task_def.yml"


def _sentence(rng, words=()):
    sentence = rng.choices(PLAIN, k=rng.randint(2, 9)) + list(words)
    rng.shuffle(sentence)
    return " ".join(sentence)


def _write(path, rows, bom=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("\t".join(row) + "\n" for row in rows)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())


def write_sst(folder, rows=960, seed=0):
    """SST-2: one sentence; label 1 if it has a good word, 0 if a bad one."""
    rng = random.Random(seed)
    for split, n in (("train", rows), ("dev", 60), ("test", 10)):
        labels = [rng.randint(0, 1) for _ in range(n)]
        sentences = [_sentence(rng, [rng.choice(GOOD if label else BAD)]) for label in labels]
        if split == "test":
            body = [["index", "sentence"], *([str(i), text] for i, text in enumerate(sentences))]
        else:
            body = [["sentence", "label"], *([text + " ", str(label)] for text, label in zip(sentences, labels))]
        _write(Path(folder) / "SST-2" / f"{split}.tsv", body)


def write_rte(folder, rows=240, seed=1):
    """RTE: two sentences; entailment if the second repeats the first one's mood."""
    rng = random.Random(seed)
    for split, n in (("train", rows), ("dev", 60), ("test", 10)):
        body = [["index", "sentence1", "sentence2", *(["label"] if split != "test" else [])]]
        for i in range(n):
            first, second = rng.choice([GOOD, BAD]), rng.choice([GOOD, BAD])
            label = "entailment" if first is second else "not_entailment"
            body.append(
                [
                    str(i),
                    _sentence(rng, [rng.choice(first)]),
                    _sentence(rng, [rng.choice(second)]),
                    *([label] if split != "test" else []),
                ]
            )
        _write(Path(folder) / "RTE" / f"{split}.tsv", body)


def write_mrpc(folder, rows=40, seed=2):
    """MRPC: a byte-order mark before the header, names with # in it."""
    rng = random.Random(seed)
    for split in ("train", "dev", "test"):
        head = ["index" if split == "test" else "Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
        body = [[str(rng.randint(0, 1)), str(i), str(i), _sentence(rng), _sentence(rng)] for i in range(rows)]
        _write(Path(folder) / "MRPC" / f"{split}.tsv", [head, *body], bom=True)


def write_cola(folder, rows=40, seed=3):
    """CoLA: no header in train and dev, one in test."""
    rng = random.Random(seed)
    for split in ("train", "dev"):
        _write(
            Path(folder) / "CoLA" / f"{split}.tsv",
            [["gj04", str(rng.randint(0, 1)), "*", _sentence(rng)] for _ in range(rows)],
        )
    _write(
        Path(folder) / "CoLA" / "test.tsv", [["index", "sentence"], *([str(i), _sentence(rng)] for i in range(rows))]
    )


def write_stsb(folder, rows=160, seed=4):
    """STS-B: many columns; the score is 5 for the same mood, else 1, and some noise."""
    rng = random.Random(seed)
    head = ["index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2"]
    for split in ("train", "dev", "test"):
        body = [head + (["score"] if split != "test" else [])]
        for i in range(rows):
            first, second = rng.choice([GOOD, BAD]), rng.choice([GOOD, BAD])
            score = (4.5 if first is second else 0.5) + rng.random() / 2
            body.append(
                [
                    str(i),
                    "g",
                    "f",
                    "2012",
                    "0",
                    "none",
                    "none",
                    _sentence(rng, [rng.choice(first)]),
                    _sentence(rng, [rng.choice(second)]),
                    *([f"{score:.3f}"] if split != "test" else []),
                ]
            )
        _write(Path(folder) / "STS-B" / f"{split}.tsv", body)


def write_mnli(folder, rows=40, seed=5):
    """MNLI: the label last of many columns, two dev and two test sets, and the diagnostic set."""
    rng = random.Random(seed)
    labels = ["contradiction", "neutral", "entailment"]
    head = ["index", "promptID", "pairID", "genre", "b1", "b2", "p1", "p2", "sentence1", "sentence2"]
    for name, extra in (
        ("train", ["label1", "gold_label"]),
        ("dev_matched", ["label1", "label2", "gold_label"]),
        ("dev_mismatched", ["label1", "label2", "gold_label"]),
        ("test_matched", []),
        ("test_mismatched", []),
    ):
        body = [
            [
                str(i),
                *["x"] * 7,
                _sentence(rng),
                _sentence(rng),
                *["x"] * (len(extra) - 1),
                *([rng.choice(labels)] if extra else []),
            ]
            for i in range(rows)
        ]
        _write(Path(folder) / "MNLI" / f"{name}.tsv", [head + extra, *body])
    _write(
        Path(folder) / "AX" / "AX.tsv",
        [["index", "sentence1", "sentence2"], *([str(i), _sentence(rng), _sentence(rng)] for i in range(rows))],
    )


def write_qqp(folder, rows=40, seed=6):
    """QQP: two rows of the training file lack fields, one has an empty question."""
    rng = random.Random(seed)
    head = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]
    for split in ("train", "dev"):
        body = [[str(i), "1", "2", _sentence(rng), _sentence(rng), str(rng.randint(0, 1))] for i in range(rows)]
        if split == "train":
            body[3:3] = [["77", "1", "2", "the film"], [""], ["78", "1", "2", "", "was it a day", "0"]]
        _write(Path(folder) / "QQP" / f"{split}.tsv", [head, *body])
    _write(
        Path(folder) / "QQP" / "test.tsv",
        [["id", "question1", "question2"], *([str(i), _sentence(rng), _sentence(rng)] for i in range(rows))],
    )


def write_snli(folder, rows=40, seed=7):
    """SNLI: label first, and `-` where the annotators did not agree."""
    rng = random.Random(seed)
    head = [
        "gold_label",
        "b1",
        "b2",
        "p1",
        "p2",
        "sentence1",
        "sentence2",
        "captionID",
        "pairID",
        "label1",
        "label2",
        "label3",
        "label4",
        "label5",
    ]
    for split in ("train", "dev", "test"):
        body = [
            [
                rng.choice(["contradiction", "neutral", "entailment"]),
                *["x"] * 4,
                _sentence(rng),
                _sentence(rng),
                "c",
                "p",
                "neutral",
                "",
                "",
                "",
                "",
            ]
            for _ in range(rows)
        ]
        body[5][0] = body[9][0] = "-"
        _write(Path(folder) / "SNLI" / f"snli_1.0_{split}.txt", [head, *body])


def write_scitail(folder, rows=40, seed=8):
    """SciTail: no header at all."""
    rng = random.Random(seed)
    for split in ("train", "dev", "test"):
        _write(
            Path(folder) / "SciTail" / f"scitail_1.0_{split}.tsv",
            [[_sentence(rng), _sentence(rng), rng.choice(["neutral", "entails"])] for _ in range(rows)],
        )


def write_qnli(folder, rows=40, seed=9):
    rng = random.Random(seed)
    for split in ("train", "dev", "test"):
        tail = [[], ["label"]][split != "test"]
        body = [
            [str(i), _sentence(rng), _sentence(rng), *(rng.choice(["entailment", "not_entailment"]) for _ in tail)]
            for i in range(rows)
        ]
        _write(Path(folder) / "QNLI" / f"{split}.tsv", [["index", "question", "sentence", *tail], *body])


def write_wnli(folder, rows=40, seed=10):
    rng = random.Random(seed)
    for split in ("train", "dev", "test"):
        tail = [[], ["label"]][split != "test"]
        body = [[str(i), _sentence(rng), _sentence(rng), *(rng.choice("01") for _ in tail)] for i in range(rows)]
        _write(Path(folder) / "WNLI" / f"{split}.tsv", [["index", "sentence1", "sentence2", *tail], *body])


def write_glue(folder):
    """All tasks of glue_task_def.yml."""
    for write in (
        write_sst,
        write_rte,
        write_mrpc,
        write_cola,
        write_stsb,
        write_mnli,
        write_qqp,
        write_snli,
        write_scitail,
        write_qnli,
        write_wnli,
    ):
        write(folder)

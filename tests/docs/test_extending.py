"""The diffs of docs/extending.md fit the code; what they add runs."""

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys

import numpy as np
import pages
import pytest
import toy
import toy_tasks
from pages import ROOT

PAGE = ROOT / "docs/extending.md"
DIFFS = {
    section.splitlines()[0]: section.partition("```diff\n")[2].partition("\n```")[0] + "\n"
    for section in PAGE.read_text().split("\n## ")[1:]
    if "```diff" in section
}


def call(folder, *command, **more):
    """Run a command in `folder`; return what it printed."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
    }
    ended = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, **more
    )
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the repository to which every diff of the page was applied, one after another."""
    folder = tmp_path_factory.mktemp("extending") / "repository"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "data", "checkpoints", "__pycache__"))
    for diff in DIFFS.values():
        call(folder, "git", "apply", input=diff)
    return folder


def test_every_diff_fits_the_code(extended):
    assert DIFFS
    for diff in DIFFS.values():
        assert call(extended, "git", "apply", "--reverse", "--check", input=diff) == ""


def write_paws(folder):
    """Pairs of toy sentences: label 1 if the second is the first once more."""
    rng = random.Random(0)
    folder.mkdir(parents=True)
    for split, rows in (("train", 120), ("dev", 40)):
        lines = ["id\tsentence1\tsentence2\tlabel"]
        for number in range(rows):
            first, second = (" ".join(rng.choices(toy.PLAIN, k=5)) for _ in range(2))
            label = rng.randint(0, 1)
            lines.append(f"{number}\t{first}\t{first if label else second}\t{label}")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")


def follow(folder, section):
    """Run the commands of a section of the page; return what the last one printed."""
    for command in pages.shell_commands(PAGE, section):
        printed = call(folder, *["cpu" if word == "GPUID" else word for word in command])
    return printed


@pytest.fixture(scope="module")
def encoder(extended):
    """A toy encoder where the page's commands look for BERT-base."""
    return toy.save_encoder(extended / "data/encoders/bert-base-uncased")


@pytest.mark.slow
def test_the_new_criterion_and_the_new_kind_run_from_rows_to_one_report(extended, encoder):
    toy_tasks.write_rte(extended / "data/glue")
    call(extended, "sh", "experiments/glue/prepro.sh", "--tasks", "rte")
    assert "best winning ticket" in follow(extended, "A new criterion")
    follow(extended, "A new kind of ticket")
    folder = extended / "checkpoints/extending/rte"
    rows = list(csv.DictReader(open(folder / "report.csv")))
    shown = {(row["ticket"], row["criterion"]) for row in rows}
    assert shown == {("dense", ""), ("winning", "example"), ("last_layers", "example"), ("winning", "fisher")}
    assert "winning by fisher" in (folder / "report.md").read_text()
    mask = json.loads((folder / "masks/last_layers/heads_3_ffns_0.json").read_text())
    assert list(mask["tickets"]["rte"]["heads"]) == ["2"]  # all closed heads are in the last of three layers
    example, fisher = (
        json.loads((folder / name).read_text()) for name in ("importance.json", "importance_fisher.json")
    )
    for by_size, by_square in zip(np.ravel(example["heads"]["raw"]), np.ravel(fisher["heads"]["raw"])):
        assert by_square > by_size**2 > 0  # the mean of squares is at least the square of the mean


@pytest.mark.slow
def test_the_new_task_runs_from_rows_to_the_report(extended, encoder):
    write_paws(extended / "data/glue/PAWS")
    assert "paws (score: mean of accuracy and f1; 40 dev rows," in follow(extended, "A new task")
    kinds = {path.parts[-4] for path in extended.glob("checkpoints/bert-base-uncased/paws/rewind/*/*/*/result.json")}
    assert kinds == {"winning", "random"}


@pytest.mark.slow
def test_the_new_kind_of_task_and_the_new_column_run_from_rows_to_the_report(extended, encoder):
    toy_tasks.write_stsb(extended / "data/glue")
    assert "stsb (score: mean of pearson and spearman" in follow(extended, "A new kind of task")
    folder = extended / "checkpoints/extending/stsb"
    tasks = json.loads((folder / "model/tasks.json").read_text())
    assert tasks["tasks"]["stsb"]["kind"] == "robust_regression"
    predicted = list(csv.DictReader(open(folder / "dev_predictions.tsv"), delimiter="\t"))
    pearson = np.corrcoef(*([float(row[name]) for row in predicted] for name in ("label", "prediction")))[0, 1]
    assert pearson == pytest.approx(
        json.loads((folder / "result.json").read_text())["dev"]["stsb"]["pearson"], abs=1e-3
    )
    prints_the_loss = (
        "import torch; from mt_dnn.loss import LOSSES; "
        "print(LOSSES['robust_regression'](torch.tensor([[3.0], [1.0]]), torch.tensor([1.0, 4.0])).tolist())"
    )
    assert call(extended, sys.executable, "-c", prints_the_loss) == "[2.0, 3.0]\n"
    assert json.loads((folder / "result.json").read_text())["tasks"]["stsb"]["task_kind"] == "robust_regression"
    (header,) = {line for line in (folder / "report.md").read_text().splitlines() if "| s/epoch |" in line}
    assert "| s/epoch | speed |" in header


@pytest.mark.slow
def test_the_new_family_passes_the_tests_of_families(extended):
    printed = call(extended, sys.executable, "-m", "pytest", "tests/encoders", "tests/tickets", "-k", "camembert")
    assert re.search(r"\d passed", printed) and "failed" not in printed


@pytest.mark.slow
def test_the_new_optimizer_passes_the_tests_of_optimizers(extended):
    printed = call(extended, sys.executable, "-m", "pytest", "tests/training/test_optim.py", "-k", "nadam")
    assert re.search(r"\d passed", printed) and "failed" not in printed

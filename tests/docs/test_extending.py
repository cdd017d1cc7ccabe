"""The diffs of docs/extending.md fit the code; what they add runs."""

import os
import random
import shutil
import subprocess
import sys

import pages
import pytest
import toy
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


@pytest.mark.slow
def test_the_new_task_runs_from_rows_to_the_report(extended):
    write_paws(extended / "data/glue/PAWS")
    toy.save_encoder(extended / "data/encoders/bert-base-uncased")
    for command in pages.shell_commands(PAGE):
        if "paws" in " ".join(command):
            printed = call(extended, *["cpu" if word == "GPUID" else word for word in command])
    assert "paws (score: mean of accuracy and f1; 40 dev rows)" in printed
    kinds = {path.parts[-4] for path in extended.glob("checkpoints/bert-base-uncased/paws/rewind/*/*/*/result.json")}
    assert kinds == {"winning", "random"}


@pytest.mark.slow
def test_the_new_family_passes_the_tests_of_families(extended):
    printed = call(extended, sys.executable, "-m", "pytest", "-q", "tests/encoders", "tests/tickets", "-k", "camembert")
    assert " passed" in printed or "." in printed

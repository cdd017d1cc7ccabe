"""The scripts as users call them, in a copy of the repository whose bert-base-uncased is a tiny one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import toy

ROOT = Path(__file__).parents[1]
WITH_GPUID = ["train_mnli", "rewind_mnli", *(f"rewind_{task}_winning" for task in ("mnli", "qnli", "qqp", "sst", "mrpc", "cola", "stsb", "rte"))]


def call(folder, *command):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", WITH_GPUID)
def test_without_an_argument_the_usage_is_printed(tmp_path, name):
    ended = call(tmp_path, ROOT / f"scripts/{name}.sh")  # from any folder
    assert ended.returncode == 2 and f"{name}.sh GPUID" in ended.stderr and "Traceback" not in ended.stderr


def test_epochs_are_those_of_the_paper():
    epochs = {"mnli": 3, "qqp": 6, "qnli": 3, "sst": 6, "mrpc": 6, "cola": 6, "rte": 6, "stsb": 6}
    for task, expected in epochs.items():
        text = (ROOT / f"scripts/rewind_{task}_winning.sh").read_text()
        assert f"TASK={task}\nENCODER=bert-base-uncased   # a hub name, or a folder below data/encoders\nEPOCHS={expected}\nLEARNING_RATE=5e-5\nBATCH_SIZE=32\n" in text


def test_the_users_workflow_from_raw_files_to_the_report(tmp_path):
    copy = tmp_path / "repository"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "data", "checkpoints", "tests", "__pycache__"))
    toy.write_glue(copy / "data/glue")
    toy.save_encoder(copy / "data/encoders/bert-base-uncased")
    for command in (["sh", "experiments/glue/prepro.sh"], ["./scripts/train_mnli.sh", "cpu"], ["./scripts/rewind_mnli.sh", "cpu"]):
        ended = call(copy, *command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    output = copy / "checkpoints/bert-base-uncased/mnli"
    assert len(list(output.glob("masks/winning/*.json"))) == 11  # of 20 levels of 3 layers x 4 heads, some close as much as others
    assert len(list(output.glob("rewind/*/*/seed_2018/result.json"))) == 3 * 8
    assert "## mnli_mismatched" in (output / "report.md").read_text() and (output / "report.png").exists()
    assert "bert-base-uncased" in (output / "masks/winning/heads_1_ffns_0.json").read_text()

    script = copy / "scripts/rewind_mnli_winning.sh"   # edited as a user would: two seeds, one level
    script.write_text(script.read_text().replace('SEEDS="2018"', 'SEEDS="2018 1"').replace("0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8", "0.5"))
    ended = call(copy, script, "cpu")
    assert ended.returncode == 0 and "4 runs, 1 finished before" in ended.stdout, ended.stdout + ended.stderr   # and the dense model with both seeds
    assert len(list(output.glob("rewind/dense/*/seed_*/result.json"))) == 2

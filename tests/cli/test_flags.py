"""Command lines: flags that are wrong, and what an error line advises."""

import subprocess
import sys
from dataclasses import fields

import pytest
from calls import ROOT, options

from data_utils.advice import SCRIPT_VARIABLES, advice
from mt_dnn.flags.parser import ALONE


@pytest.mark.parametrize(
    "command, flags, line",
    [
        ("train.py", ["--output_dir", ""], "--output_dir: '', expected the name of a file or folder"),
        ("train.py", ["--output_dir", "out\udcff"], "'out\\udcff': not UTF-8, expected names"),
        ("rewind.py", ["--masks", ""], "--masks: '', expected the name of a file or folder"),
        ("construct_mtl_mask.py", ["--output", " "], "--output: ' ', expected the name of a file or folder"),
        ("mt_dnn/predict.py", ["run", "--output", ""], "--output: '', expected the name of a file or folder"),
        ("mt_dnn/export/__main__.py", [""], "'', expected the name of a file or folder"),
        ("rewind.py", ["--criterion", "token"], "is a flag of train.py (CRITERION in the scripts)"),
        ("rewind.py", ["--do_mask"], "is a flag of train.py (TRAIN_FLAGS in the scripts)"),
        ("train.py", ["--seeds", "7"], "--seeds is a flag of rewind.py (SEEDS in the scripts)"),
        ("rewind.py", ["--sparsities"], "change --sparsities (SPARSITIES in the scripts)"),
        ("train.py", ["--keep_gates"], "--keep_gates is a flag of rewind.py (REWIND_FLAGS in the scripts)"),
        ("train.py", ["--skip_bad_rows=1"], "--skip_bad_rows is a flag of prepro.py (PREPRO_FLAGS in the scripts)"),
        ("rewind.py", ["--parallel", "x"], 'change --parallel (REWIND_FLAGS="--parallel" in the scripts)'),
        ("rewind.py", ["--tickets_of", ""], "--tickets_of: '', expected a name"),
        ("construct_mtl_mask.py", ["--criterion", " "], "--criterion: ' ', expected a name"),
        ("train.py", ["--warm_up", "0.1"], "unrecognized arguments: --warm_up 0.1; --help lists the flags"),
        (
            "train.py",
            ["--epochs", "9" * 5000],
            "from 1; change --epochs (EPOCHS in the scripts)",
        ),
    ],
)
def test_a_flag_that_is_wrong_is_one_line(refused, command, flags, line):
    required = {"train.py": ["--output_dir", "x"], "rewind.py": ["--masks", "x", "--output_dir", "x"]}.get(command, [])
    if required:
        required += ["--train_datasets", "sst"]
    found = refused(command, *required, *flags)
    assert line in found and len(found) < 400


def test_advice_says_what_to_edit_in_a_script():
    assert advice("--learning_rate") == "--learning_rate (LEARNING_RATE in the scripts)"
    assert advice("--holdout 0.1") == "--holdout 0.1 (HOLDOUT=0.1 in the scripts)"
    assert advice("--precision float32") == '--precision float32 (FLAGS="--precision float32" in the scripts)'


@pytest.mark.parametrize("script", ["train.py", "rewind.py"])
def test_help_answers_without_loading_torch(script):
    without_torch = f"""import runpy, sys
sys.modules["torch"] = sys.modules["transformers"] = None  # importing them raises ImportError
sys.argv = ["{script}", "--help"]
runpy.run_path("{script}", run_name="__main__")"""
    ended = subprocess.run([sys.executable, "-c", without_torch], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0 and "--optimizer" in ended.stdout, ended.stderr


def test_an_optimizer_that_does_not_exist_is_refused_before_anything_is_written(workshop, tmp_path, refused):
    out = tmp_path / "out"
    found = refused("train.py", *options(workshop), "--do_train", "--output_dir", out, "--optimizer", "sgd")
    assert "--optimizer sgd: no such optimizer, expected one of adamax, adamw" in found
    assert not out.exists()


def test_the_advice_for_a_flag_of_one_command_names_the_variable_that_passes_it_on():
    for command, groups in ALONE.items():
        for name in {field.name for group in groups for field in fields(group)} - SCRIPT_VARIABLES.keys():
            variable = f"{command.removesuffix('.py').upper()}_FLAGS"
            assert advice(f"--{name}") == f'--{name} ({variable}="--{name}" in the scripts)'

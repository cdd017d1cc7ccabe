import importlib.util
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
os.chdir(ROOT)  # the commands' default paths are relative to the repository
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the tests are about CPUs, also on a machine that has GPUs

# Variables that scripts read, as the environment that is active in the shell. Tests give them others.
for script in (ROOT / "scripts").glob("*.sh"):
    for name in re.findall(r"\$\{([A-Z_]+):[=-]", script.read_text()):
        os.environ.pop(name, None)

import torch

torch.set_num_threads(1)  # on models this tiny threads wait for each other

import toy
import toy_tasks
from calls import QUICK, TOGETHER, options, rewind

from data_utils.cli import run_main
from mt_dnn.encoders.families import FAMILIES


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run the tests marked `slow` and `real`, too")


def pytest_configure(config):
    if not config.option.markexpr and not config.option.all:
        config.option.markexpr = "not real and not slow"


@pytest.fixture
def cli(capfd, monkeypatch):
    """Call a command in this process: cli("train.py", "--seed", 1, ...) -> status, out, err."""

    def call(script, *args):
        monkeypatch.setattr(sys, "argv", [script, *map(str, args)])
        spec = importlib.util.spec_from_file_location("cli", ROOT / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        capfd.readouterr()
        status = 0
        try:
            run_main(module.main)
        except SystemExit as ended:
            status = ended.code or 0
        out, err = capfd.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


@pytest.fixture(autouse=True)
def small_numbers():
    """Commands let numbers below 1e-38 become 0; the next test computes with them again."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture
def refused(cli):
    """Call a command that must end with status 2 and one line; return the line."""

    def call(script, *args):
        ended = cli(script, *args)
        assert ended.status == 2, ended.out + ended.err
        assert len(ended.err.splitlines()) == 1 and "Traceback" not in ended.err
        return ended.err

    return call


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A tiny encoder, toy GLUE and its tokenized splits, made once: `.encoder`, `.raw`, `.data`."""
    from data_utils.hub import load_tokenizer
    from data_utils.tasks import read_tasks
    from data_utils.tokenize_split import tokenize_split

    base = tmp_path_factory.mktemp("workshop")
    made = SimpleNamespace(encoder=toy.save_encoder(base / "tiny-bert"), raw=base / "glue", data=base / "tokenized")
    toy_tasks.write_glue(made.raw)
    tokenizer = load_tokenizer(made.encoder)
    made.tasks = read_tasks(toy_tasks.TASK_DEF)
    made.tokenizer = tokenizer
    for name in ("sst", "rte", "stsb", "mnli"):
        for split in ("train", *made.tasks[name].dev_sets.values()):
            raw = made.raw / made.tasks[name].splits[split].file
            tokenize_split(raw, made.data, made.tasks[name], split, tokenizer, max_seq_len=64, skip_bad_rows=False)
    return made


@pytest.fixture(scope="session")
def trained(workshop, tmp_path_factory):
    """train.py's folder for the toy SST-2; made by the first test that asks for it."""
    return tmp_path_factory.mktemp("trained") / "sst"


@pytest.fixture
def fine_tuned(workshop, trained, cli):
    if not (trained / "masks").exists():
        ended = cli(
            "train.py",
            *options(workshop),
            "--do_train",
            "--do_mask",
            "--output_dir",
            trained,
            "--sparsities",
            "0.2",
            "0.5",
            "0.75:0.34",
            "--log_per_updates",
            25,
        )
        assert ended.status == 0, ended.err
    return trained


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    return {family: tmp_path_factory.mktemp("families") / family for family in FAMILIES}


@pytest.fixture
def family_run(workshop, places, cli):
    """family_run("roberta") -> the folder of a rewound winning ticket with its model.

    The first call for a family makes it, from prepro.py to rewind.py.
    """

    def call(family):
        place = places[family]
        run = place / "rewind/winning/heads_6_ffns_1/seed_2018"
        if run.exists():
            return run
        encoder = toy.save_encoder(place / f"tiny-{family}", family, pooler=family not in toy.NO_POOLER)
        paths = ("--raw_dir", workshop.raw, "--data_dir", place / "data", "--init_checkpoint", encoder)
        ended = cli("prepro.py", *paths, "--tasks", "sst", "--max_seq_len", 64)
        assert ended.status == 0, ended.err
        its_own = SimpleNamespace(data=place / "data", encoder=encoder)
        train = ("train.py", *options(its_own), *QUICK, "--do_train", "--do_mask", "--sparsities", 0.5)
        ended = cli(*train, "--output_dir", place / "sst")
        assert ended.status == 0, ended.err
        assert ("pooler: none in the checkpoint, drawn from the seed" in ended.out) == (family in toy.NO_POOLER)
        rewind(cli, its_own, [place / "sst/masks/winning"], place / "rewind", "--save_model", *QUICK)
        return run

    return call


@pytest.fixture
def exported(cli, monkeypatch):
    """Call mt_dnn.export: exported(run, form, ...) -> what it prints. Timed for a moment only."""
    monkeypatch.setattr("mt_dnn.export.export_table.TIMING_SECONDS", 0.01)

    def call(run, form, *more):
        ended = cli("mt_dnn/export/__main__.py", run, "--format", form, *more)
        assert ended.status == 0, ended.err
        return ended.out

    return call


@pytest.fixture(scope="session")
def other_runs(tmp_path_factory):
    return tmp_path_factory.mktemp("other")


@pytest.fixture
def runs(workshop, fine_tuned, other_runs, cli):
    """{task: the folder of train.py}"""
    for task in ("stsb", "rte"):
        if not (other_runs / task).exists():
            assert (
                cli(
                    "train.py", *options(workshop, task, *QUICK), "--do_train", "--output_dir", other_runs / task
                ).status
                == 0
            )
    return {"sst": fine_tuned, "stsb": other_runs / "stsb", "rte": other_runs / "rte"}


@pytest.fixture(scope="session")
def mt_dnn_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mtdnn") / "dense"


@pytest.fixture
def mt_dnn_run(workshop, mt_dnn_folder, cli):
    """train.py's folder of the toy MT-DNN; made by the first test that asks for it."""
    if not mt_dnn_folder.exists():
        ended = cli("train.py", *options(workshop, TOGETHER), "--do_train", "--output_dir", mt_dnn_folder)
        assert ended.status == 0, ended.err
    return mt_dnn_folder

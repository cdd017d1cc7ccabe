"""The commands on a real GPU: GPUID=0 bash scripts/test.sh -n 8 --dist load tests/runtime/test_real_gpu.py

-n 8 runs eight tests at once. GPUID=0,1 trains in two processes, too. GPUID=cpu tries these tests themselves.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import toy
from calls import ROOT, launch, result_of, table

from mt_dnn.encoders.families import FAMILIES
from mt_dnn.encoders.pretrained import load_encoder
from mt_dnn.model import model_entry
from mt_dnn.tickets.masks import Mask, write_mask
from mt_dnn.tickets.ticket import DENSE, Ticket
from mt_dnn.training.optim import OPTIMIZERS

GPUID = os.environ.get("GPUID", "")
DEVICE = "cpu" if "cpu" in GPUID else "cuda"
PROCESSES = GPUID.count(",") + 1

pytestmark = pytest.mark.skipif(not GPUID, reason="no GPUID is set: nothing runs on a GPU")


@pytest.fixture(autouse=True)
def visible(monkeypatch):
    if DEVICE == "cuda":
        monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as scripts/common.sh does
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", GPUID)  # of the commands; for this process it is too late


def flags(workshop, task="sst", **more):
    given = {
        "data_dir": workshop.data,
        "init_checkpoint": workshop.encoder,
        "train_datasets": task,
        "epochs": 3,
        "learning_rate": 5e-3,
        "device": DEVICE,
        **more,
    }
    return [part for name, value in given.items() for part in (f"--{name}", value)]


def run(*command, processes=1):
    ended = launch(processes, *command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def mask_from(workshop, output, task="sst", **more):
    run(
        "train.py",
        *flags(workshop, task, **more),
        "--do_train",
        "--do_mask",
        "--sparsities",
        0.5,
        "--output_dir",
        output,
    )
    return output / "masks/winning/heads_6_ffns_1.json"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_from_fine_tuning_to_a_prediction(workshop, tmp_path, family, precision):
    encoder, data = toy.save_encoder(tmp_path / "encoder", family, family not in toy.NO_POOLER), tmp_path / "data"
    paths = "--data_dir", data, "--init_checkpoint", encoder
    run("prepro.py", "--raw_dir", workshop.raw, *paths, "--tasks", "sst", "--max_seq_len", 64)
    more = {"init_checkpoint": encoder, "data_dir": data, "precision": precision, "epochs": 6}
    mask = mask_from(workshop, tmp_path / "sst", **more)
    rewind = "--masks", mask, "--output_dir", tmp_path / "rewind", "--save_model"
    run("rewind.py", *flags(workshop, **more), *rewind)
    done = tmp_path / "rewind/winning/heads_6_ffns_1/seed_2018"
    assert result_of(done)["dev"]["sst"]["accuracy"] >= 0.8
    assert ("GPU memory: 0." in (done / "log.txt").read_text()) == (DEVICE == "cuda")

    dev = workshop.raw / "SST-2/dev.tsv"
    by = {}
    for device in (DEVICE, "cpu"):
        command = "-m", "mt_dnn.predict", done, "--input", dev, "--device", device, "--precision", precision
        by[device] = np.array([float(row[2]) for row in table(run(*command))[1:]])
    np.testing.assert_allclose(by[DEVICE], by["cpu"], atol=1e-3 if precision == "float32" else 0.1)


ADAMAX = """
import sys, torch
torch.set_default_device(sys.argv[1])
sys.path.append("tests/training")
import test_optim
test_optim.test_adamax_without_decay_is_that_of_torch_also_when_a_parameter_has_no_gradient_in_some_updates()
"""


def test_adamax_is_that_of_torch_though_its_second_moment_is_written_over_the_gradient():
    ended = subprocess.run([sys.executable, "-c", ADAMAX, DEVICE], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_gpu_and_the_cpu_give_a_model_the_same_scores(workshop, tmp_path):
    mask_from(workshop, tmp_path)
    scores = {}
    for device in (DEVICE, "cpu"):
        (tmp_path / "importance.json").unlink()
        run("train.py", *flags(workshop, device=device), "--do_mask", "--output_dir", tmp_path)
        scores[device] = json.loads((tmp_path / "importance.json").read_text())
    for units in ("heads", "ffns"):
        np.testing.assert_allclose(scores[DEVICE][units]["raw"], scores["cpu"][units]["raw"], rtol=1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_training_resumes(workshop, tmp_path, optimizer):
    command = ["train.py", *flags(workshop, epochs=20, optimizer=optimizer, checkpoint_minutes=0, log_per_updates=1)]
    command += ["--do_train", "--output_dir", tmp_path]
    process = subprocess.Popen([sys.executable, *map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob("checkpoint/update_??")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert "resumes from" in run(*command) and result_of(tmp_path)["dev"]["sst"]["accuracy"] >= 0.9


@pytest.mark.parametrize("exact", [[], ["--exact_sharing"]], ids=["sharing", "exact"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tasks_share_an_encoder(workshop, tmp_path, precision, exact):
    tickets = {"sst": Ticket(frozenset({(0, 1), (1, 0), (1, 2)}), frozenset({2})), "rte": DENSE}
    mask = tmp_path / "mask.json"
    write_mask(mask, Mask("winning", model_entry(load_encoder(workshop.encoder)), tickets, {}))
    rewind = *flags(workshop, "sst,rte", precision=precision), "--masks", mask, "--output_dir", tmp_path, *exact
    run("rewind.py", *rewind)
    assert result_of(tmp_path / "winning/mask/seed_2018")["dev"]["sst"]["accuracy"] >= 0.9


@pytest.mark.skipif(PROCESSES == 1, reason="one GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_several_gpus_share_batches_and_runs(workshop, tmp_path, precision):
    mask = "train.py", *flags(workshop, precision=precision), "--do_train", "--do_mask", "--sparsities", 0.5, 0.3
    run(*mask, "--output_dir", tmp_path / "sst", processes=PROCESSES)
    assert result_of(tmp_path / "sst")["dev"]["sst"]["accuracy"] >= 0.9
    rewind = "rewind.py", *flags(workshop, precision=precision), "--masks", tmp_path / "sst/masks/winning"
    told = run(*rewind, "--parallel", "runs", "--output_dir", tmp_path / "rewind", processes=PROCESSES)
    assert "2 runs: 2 finished, 0 failed" in told

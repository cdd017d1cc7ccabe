"""torchrun with two processes over gloo gives what one process gives."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import toy_tasks
from calls import ROOT, launch, options, result_of
from safetensors.torch import load_file

from data_utils.errors import UserError
from mt_dnn.encoders.pretrained import load_encoder
from mt_dnn.model import model_entry
from mt_dnn.runtime.distributed import process_group
from mt_dnn.tickets.masks import Mask, write_mask
from mt_dnn.tickets.ticket import DENSE, Ticket

TICKETS = {
    "sst": Ticket(frozenset({(0, 1), (1, 0), (1, 2)}), frozenset({2})),
    "rte": Ticket(frozenset({(0, 0)}), frozenset({0, 1})),
    "stsb": DENSE,
}

# By name: tasks, their rows, optimization.
TRAININGS = {
    # 288 rows of sst, 72 of rte, 48 of stsb: batches of 41 are shared unevenly, and one of stsb has 7 rows
    "tickets_sharing": (
        ["sst", "rte", "stsb"],
        {"train_fraction": 0.3},
        {"epochs": 2, "batch_size": 41, "learning_rate": 2e-3, "weight_decay": 0.5},
    ),
    "accumulated": (
        ["sst", "rte", "stsb"],
        {"train_fraction": 0.3},
        {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3, "grad_accumulation_step": 3},
    ),
    "exact_sharing": (
        ["sst", "rte", "stsb"],
        {"train_fraction": 0.3, "holdout": 0.1},
        {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3, "grad_accumulation_step": 2, "weight_decay": 0.5},
    ),
    # 48 rows: the last batch has one, so one process has none
    "one_task": (["stsb"], {"train_fraction": 0.3}, {"epochs": 2, "batch_size": 47, "learning_rate": 2e-3}),
}


def test_more_processes_than_gpus_are_refused(two_processes, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(UserError, match="2 processes and 1 visible GPUs"), process_group("cuda", "batches"):
        pass


@pytest.mark.parametrize("parallel", ["batches", "runs"])
def test_processes_without_a_gpu_say_why(two_processes, monkeypatch, parallel):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)  # with an old driver, GPUs are counted all the same
    with pytest.raises(UserError, match="--device cuda: .*; expected a GPU that torch can use"):
        with process_group("cuda", parallel):
            pass


@pytest.mark.parametrize(
    "error, said",
    [
        (
            "NCCL error in: /pytorch/NCCLUtils.cpp:93, unhandled system error\nncclSystemError: System call failed.\n"
            "Last error:\nError while creating shared memory segment /dev/shm/nccl-1, error: No space left on device",
            "the GPUs can't exchange over nccl: Error while creating shared memory segment .* No space left on device; "
            "NCCL_DEBUG=INFO",
        ),
        (
            "NCCL error in: NCCLUtils.cpp:93, invalid usage\nLast error:\n",
            "over nccl: NCCL error in: .*, invalid usage; ",
        ),
        ("NCCL communicator was aborted on rank 1.", "over nccl: NCCL communicator was aborted on rank 1; NCCL_DEBUG"),
        ("[/pytorch/gloo/transport/tcp/pair.cc:547] Connection closed by peer", "another process ended, and said why"),
        (
            "[/pytorch/gloo/transport/tcp/device.cc:84] Unable to find address for: node7",
            "^the processes can't exchange: Unable to find address for: node7$",
        ),
    ],
)
@pytest.mark.parametrize("at", ["init_process_group", "barrier", None])
def test_a_failed_exchange_is_told(two_processes, monkeypatch, error, said, at):
    def fail(*_, **__):
        raise torch.distributed.DistBackendError(error)

    for name in ("init_process_group", "barrier"):
        monkeypatch.setattr(f"torch.distributed.{name}", fail if name == at else lambda *_, **__: None)
    with pytest.raises(UserError, match=said), process_group("cpu"):
        if at is None:
            fail()


@pytest.fixture(scope="module")
def runs(workshop, tmp_path_factory):
    """The same trainings by one process and by two: folder, with <name>/1 and <name>/2."""
    folder = tmp_path_factory.mktemp("two_processes")
    tasks, mask = folder / "tasks.yml", folder / "mask.json"
    tasks.write_text(
        "".join(
            f"{line}  head_dropout: 0.0\n" if line.rstrip() in ("sst:", "rte:", "stsb:") else line
            for line in open(toy_tasks.TASK_DEF)
        )
    )
    write_mask(mask, Mask("winning", model_entry(load_encoder(workshop.encoder)), TICKETS, {}))
    paths = {"data": str(workshop.data), "task_def": str(tasks), "encoder": str(workshop.encoder), "mask": str(mask)}
    for processes in (1, 2):
        calls = folder / f"runs_{processes}.json"
        calls.write_text(
            json.dumps(
                [
                    {
                        **paths,
                        "tasks": tasks,
                        "rows": rows,
                        "optimization": optimization,
                        "exact_sharing": name == "exact_sharing",
                        "output": f"{folder}/{name}/{processes}",
                    }
                    for name, (tasks, rows, optimization) in TRAININGS.items()
                ]
            )
        )
        ended = launch(processes, ROOT / "tests/runtime/train_in_float64.py", calls)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.count("finished: ") == len(TRAININGS)  # the first process alone prints
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_give_what_one_gives(workshop, runs, name):
    one, two = runs / name / "1", runs / name / "2"
    weights, others = (load_file(folder / "model/model.safetensors") for folder in (one, two))
    for key, weight in weights.items():
        np.testing.assert_allclose(others[key], weight, rtol=0, atol=1e-9)
    start = load_file(workshop.encoder / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert np.abs(weights["bert.embeddings.word_embeddings.weight"] - start.numpy()).max() > 1e-3
    first, second = ({**result_of(folder), "seconds_per_epoch": 0} for folder in (one, two))
    assert first == second
    for file in sorted(one.glob("dev_predictions*")):
        assert (two / file.name).read_text() == file.read_text()  # every example once, in its place
    losses = [
        [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=2e-6)


@pytest.mark.slow
def test_a_batch_has_fewer_rows_than_there_are_processes(runs):
    batch_size, rows = TRAININGS["one_task"][2]["batch_size"], result_of(runs / "one_task/2")["tasks"]["stsb"]
    assert rows["training_rows"] % batch_size == 1


@pytest.mark.slow
def test_two_processes_give_the_importance_scores_of_one(runs):
    scores = [json.loads((runs / "one_task" / processes / "importance.json").read_text()) for processes in "12"]
    np.testing.assert_allclose(scores[1]["heads"]["raw"], scores[0]["heads"]["raw"], rtol=1e-5)
    np.testing.assert_allclose(scores[1]["ffns"]["raw"], scores[0]["ffns"]["raw"], rtol=1e-5)


# ---- train.py in two processes, and how errors end ----


def lines_for_the_reader(ended):
    assert "Traceback" not in ended.stderr, ended.stderr
    return [line for line in ended.stderr.splitlines() if "error: " in line]


@pytest.mark.slow
def test_two_processes_fine_tune_score_and_write_masks_and_refuse_other_options_once(workshop, tmp_path):
    train = (
        "train.py",
        *options(workshop, "rte"),
        "--do_train",
        "--do_mask",
        "--sparsities",
        0.5,
        "--output_dir",
        tmp_path,
    )
    ended = launch(2, *train, "--epochs", 1)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("4 masks, scores by example: ") == 1
    assert {path.parent.name for path in (tmp_path / "masks").rglob("*.json")} == {
        "dense",
        "winning",
        "random",
        "losing",
    }
    ended = launch(2, *train, "--epochs", 2)
    assert ended.returncode == 2
    (line,) = lines_for_the_reader(ended)
    assert "made with epochs 1, now 2" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "stop, to_all, status, said",
    [(signal.SIGINT, True, 130, ""), (signal.SIGTERM, True, 143, ""), (signal.SIGKILL, False, 137, "signal 9")],
)
def test_a_signal_ends_all_processes_with_its_status_and_without_a_traceback(tmp_path, stop, to_all, status, said):
    (tmp_path / "sleep.py").write_text(
        f"import os, time\nopen({str(tmp_path)!r} + '/' + str(os.getpid()), 'w')\ntime.sleep(60)\n"
    )
    torchrun = ["-m", "mt_dnn.runtime.launch", "--standalone", "--nproc-per-node", "2", str(tmp_path / "sleep.py")]
    started = subprocess.Popen(
        [sys.executable, *torchrun], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(processes := [path.name for path in tmp_path.iterdir() if path.name.isdigit()]) < 2:
        assert started.poll() is None, started.communicate()[1]
        time.sleep(0.1)
    if to_all:
        os.killpg(started.pid, stop)  # as a terminal does
    else:
        os.kill(int(processes[0]), stop)  # as the system does when memory is full
    _, err = started.communicate(timeout=60)
    assert started.returncode == status, err
    assert "raceback" not in err or to_all and "KeyboardInterrupt" in err  # of sleep.py, which catches nothing
    assert said in err and "SignalException" not in err


@pytest.mark.slow
def test_a_first_machine_that_is_not_there_is_one_line(tmp_path):
    (tmp_path / "train.py").write_text("")
    machines = ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "1")
    first = ("--rdzv-endpoint", "no-such-host.invalid:29500", "--rdzv-conf", "read_timeout=1")
    ended = subprocess.run(
        [sys.executable, "-m", "mt_dnn.runtime.launch", *machines, *first, tmp_path / "train.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    (line,) = [line for line in lines_for_the_reader(ended) if line.startswith("launch: ")]  # torch logs some above
    assert "no-such-host.invalid" in line and line.endswith("; expected the first machine at --rdzv-endpoint")


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--nnodes", "two"), ("--nnodes", "2", "--rdzv-endpoint", "127.0.0.1:http")])
def test_a_wrong_flag_of_torchrun_is_one_line(tmp_path, flags):
    (tmp_path / "train.py").write_text("")
    command = [sys.executable, "-m", "mt_dnn.runtime.launch", "--rdzv-backend", "c10d", *flags, tmp_path / "train.py"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].endswith("; change TORCHRUN, or torchrun's flags")


@pytest.mark.slow
@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_one_process_alone_is_told(tmp_path, failing):
    (tmp_path / "fail.py").write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import torch
from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.runtime.distributed import all_reduce_sum, process_group, rank

def main():
    with process_group("cpu"):
        if rank() == {failing}:
            raise UserError("the disk of this machine is full")
        all_reduce_sum(torch.ones(1))

run_main(main)
""")
    ended = launch(2, tmp_path / "fail.py")
    assert ended.returncode == 2
    lines = lines_for_the_reader(ended)
    assert "fail.py: error: the disk of this machine is full" in lines and len(lines) <= 2

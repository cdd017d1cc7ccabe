"""Sweeps: every run once, whoever does it; one that fails does not stop the others."""

import contextlib
import re
import threading

import pytest
import torch
from calls import QUICK, launch, options, rewind

from mt_dnn.run_folder import RunFolder
from mt_dnn.runs import session
from mt_dnn.runs.lock import locked


@pytest.mark.slow
def test_processes_that_share_the_runs_do_each_once(workshop, fine_tuned, tmp_path, cli):
    call = (
        "rewind.py",
        *options(workshop),
        *QUICK,
        "--masks",
        fine_tuned / "masks/winning",
        "--seeds",
        1,
        2,
        "--parallel",
        "runs",
        "--save_model",
    )
    ended = launch(2, *call, "--output_dir", tmp_path / "two")
    assert ended.returncode == 0, ended.stderr
    assert "6 runs: 6 finished, 0 failed" in ended.stdout and ended.stdout.count(" runs, 0 finished before") == 1
    logs = [path.read_text() for path in (tmp_path / "two").rglob("log.txt")]
    assert len(logs) == 6 and all(log.count("command: ") == 1 for log in logs)
    assert {who for who, _ in re.findall(r"(?m)^\[(\d)\] run (\d) of 6", ended.stdout)} == {
        "0",
        "1",
    }  # a run takes longer than what one process starts after the other
    rewind(cli, workshop, [fine_tuned / "masks/winning"], tmp_path / "one", "--seeds", 1, 2, "--save_model", *QUICK)
    for model in (tmp_path / "one").rglob("model.safetensors"):
        assert (tmp_path / "two" / model.relative_to(tmp_path / "one")).read_bytes() == model.read_bytes()


def test_a_run_that_another_process_is_at_is_left_to_it(workshop, fine_tuned, tmp_path, cli):
    runs = tmp_path / "winning"
    with locked(RunFolder(runs / "heads_6_ffns_1/seed_2018")) as mine:
        assert mine
        ended = rewind(cli, workshop, [fine_tuned / "masks/winning"], tmp_path, *QUICK)
        assert "3 runs: 2 finished, 0 failed, 1 in progress in other processes" in ended.out
        assert not (runs / "heads_6_ffns_1/seed_2018/config.json").exists()
    assert "3 runs: 3 finished" in rewind(cli, workshop, [fine_tuned / "masks/winning"], tmp_path, *QUICK).out


def test_fine_tuning_waits_for_another_process_at_the_same(workshop, tmp_path, cli):
    with contextlib.ExitStack() as held:
        held.enter_context(locked(RunFolder(tmp_path)))
        release = threading.Timer(2, held.close)
        release.start()
        ended = cli("train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path)
    assert (
        ended.status == 0
        and "another process does this run; waiting for it" in ended.out
        and (tmp_path / "result.json").exists()
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("could not create a primitive"),  # oneDNN
        MemoryError(),
    ],
)
def test_a_run_that_fails_is_told_and_the_others_go_on(workshop, fine_tuned, tmp_path, cli, monkeypatch, error):
    def fails(model, *arguments):
        if sum(parameter.numel() for parameter in model.parameters()) == sizes[1]:
            raise error
        return whole(model, *arguments)

    sizes, whole = [], session.fine_tune
    monkeypatch.setattr(
        session,
        "fine_tune",
        lambda model, *arguments: (sizes.append(sum(p.numel() for p in model.parameters())), whole(model, *arguments))[
            1
        ],
    )
    rewind(cli, workshop, [fine_tuned / "masks/winning"], tmp_path / "sizes", *QUICK)
    monkeypatch.setattr(session, "fine_tune", fails)
    call = (
        "rewind.py",
        *options(workshop),
        *QUICK,
        "--masks",
        fine_tuned / "masks/winning",
        "--output_dir",
        tmp_path / "out",
    )
    ended = cli(*call)
    assert ended.status == 1 and "3 runs: 2 finished, 1 failed" in ended.out and ended.err == ""
    (failed,) = (tmp_path / "out").rglob("failed.txt")
    assert "memory is full" in failed.read_text() and f"failed: {failed.parent}: the memory is full" in ended.out
    monkeypatch.setattr(session, "fine_tune", whole)
    ended = cli(*call)
    assert ended.status == 0 and "3 runs: 3 finished, 0 failed" in ended.out
    assert not failed.exists()


def test_outputs_that_are_no_numbers_fail_a_run_whose_losses_were(workshop, tmp_path, cli):
    """The loss of the only update is that before it."""
    call = ("train.py", *options(workshop), "--do_train", "--epochs", 1, "--batch_size", 960, "--output_dir", tmp_path)
    ended = cli(*call, "--learning_rate", 1e30)
    assert ended.status == 1 and "epoch 1: outputs for sst are NaN or infinite" in ended.err
    assert "outputs for sst" in (tmp_path / "failed.txt").read_text() and not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_full_memory_is_not_taken_for_a_bad_encoder_or_checkpoint(workshop, tmp_path, cli, monkeypatch, error):
    def fails(*arguments, **more):
        raise error

    call = ("train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("mt_dnn.encoders.pretrained.refuse_more_layers", fails)
        ended = cli(*call)
        assert ended.status == 1 and "the memory is full; end other programs" in ended.err
    with monkeypatch.context() as patch:
        patch.setattr("mt_dnn.training.checkpoint.Checkpoints._newest_whole", lambda checkpoints: tmp_path)
        patch.setattr("mt_dnn.training.checkpoint.Checkpoints._put_back", fails)
        ended = cli(*call)
        assert ended.status == 1 and "the memory is full; take --tokens_at_once 1024" in ended.err


def test_a_loss_that_is_no_number_fails_its_run_alone(workshop, fine_tuned, tmp_path, cli):
    call = (
        "rewind.py",
        *options(workshop),
        *QUICK,
        "--masks",
        fine_tuned / "masks/winning",
        "--learning_rate",
        1e30,
        "--output_dir",
        tmp_path,
    )
    ended = cli(*call)
    assert ended.status == 1 and "3 runs: 0 finished, 3 failed" in ended.out
    assert len(re.findall("(?m)^failed: .*the loss is (nan|inf)", ended.out)) == 3

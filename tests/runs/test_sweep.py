"""Sweeps: every run once, whoever does it; one that fails does not stop the others."""

import contextlib
import re

import pytest
import torch
from calls import QUICK, launch, options, rewind
from safetensors.torch import save_file

from data_utils.errors import Diverged, RunFailed, is_memory_full
from data_utils.files import sha256
from mt_dnn.run_folder import RunFolder
from mt_dnn.runs import session
from mt_dnn.runs.lock import locked
from mt_dnn.runs.result import failure_written
from mt_dnn.runs.run import Run
from mt_dnn.runs.sweep import sweep
from mt_dnn.training import evaluate


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
    lines = re.findall(r"(?m)^\[[01]\] run (\d) of 6: ", ended.stdout)
    assert sorted(lines) == list("123456")
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


def test_a_run_begun_in_another_precision_does_not_stop_the_others(workshop, fine_tuned, tmp_path, cli):
    """Killed on one machine, and started again on another, where auto chooses another precision."""
    call = ("rewind.py", *options(workshop), *QUICK, "--masks", fine_tuned / "masks/winning", "--output_dir", tmp_path)
    assert cli(*call, "--precision", "float32").status == 0
    begun = RunFolder(tmp_path / "winning/heads_6_ffns_1/seed_2018")
    begun.result.unlink()
    begun.checkpoints.mkdir()
    (tmp_path / "winning/heads_9_ffns_1/seed_2018/result.json").unlink()
    ended = cli(*call, "--precision", "bfloat16")
    assert ended.status == 1 and "3 runs: 2 finished, 1 failed" in ended.out
    assert f"failed: {begun.folder}: this run was begun in float32, now bfloat16" in ended.out
    assert "3 runs: 3 finished, 0 failed" in cli(*call, "--precision", "float32").out


def test_a_checkpoint_that_does_not_fit_does_not_stop_the_others(workshop, fine_tuned, tmp_path, cli):
    call = ("rewind.py", *options(workshop), *QUICK, "--masks", fine_tuned / "masks/winning", "--output_dir", tmp_path)
    assert cli(*call).status == 0
    for size in ("heads_2_ffns_0", "heads_9_ffns_1"):  # they are left
        (tmp_path / f"winning/{size}/seed_2018/result.json").unlink()
    checkpoint = tmp_path / "winning/heads_2_ffns_0/seed_2018/checkpoint/update_1"
    checkpoint.mkdir(parents=True)
    save_file({}, checkpoint / "state.safetensors", {"rest": "{}"})
    (checkpoint / "sha256").write_text(sha256(checkpoint / "state.safetensors"))
    ended = cli(*call)
    assert ended.status == 1 and "3 runs: 2 finished, 1 failed" in ended.out
    assert f"{checkpoint}: weights or entries of other names or shapes" in ended.out


def test_a_run_whose_process_dies_is_taken_over_and_a_failed_one_is_not_repeated(tmp_path):
    runs = [Run(RunFolder(tmp_path / name), "dense", {}, 1, {}) for name in ("theirs", "failed", "free")]
    runs[1].files.folder.mkdir()
    runs[1].files.failure.write_text("diverged")
    done = []
    with contextlib.ExitStack() as other_process:
        other_process.enter_context(locked(runs[0].files))

        def do(run):
            done.append(run.files.folder.name)
            other_process.close()

        sweep(runs, do)
    assert done == ["free", "theirs"]


def test_fine_tuning_waits_for_another_process_at_the_same(workshop, tmp_path, cli, monkeypatch):
    with contextlib.ExitStack() as held:
        held.enter_context(locked(RunFolder(tmp_path)))
        monkeypatch.setattr("mt_dnn.runs.lock.time.sleep", lambda seconds: held.close())
        ended = cli("train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path)
    assert ended.status == 0 and "another process does this run; waiting for it" in ended.out
    assert (tmp_path / "result.json").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_another_process_does_is_skipped_where_asked(workshop, tmp_path, processes):
    command = ("train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path, "--skip_locked")
    with locked(RunFolder(tmp_path)):
        ended = launch(processes, *command)
    assert ended.returncode == 75 and f"{tmp_path}: another process does this run; skipped" in ended.stdout
    assert not (tmp_path / "result.json").exists() and ended.stderr == ""


def test_fine_tuning_that_failed_in_another_process_meanwhile_is_not_repeated(workshop, tmp_path, cli, monkeypatch):
    call = ("train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path)
    (tmp_path / "failed.txt").write_text("an earlier failure")
    with contextlib.ExitStack() as held:
        held.enter_context(locked(RunFolder(tmp_path)))
        held.callback(lambda: (tmp_path / "failed.txt").write_text("the loss is nan"))
        monkeypatch.setattr("mt_dnn.runs.lock.time.sleep", lambda seconds: held.close())
        ended = cli(*call)
    assert ended.status == 1 and f"{tmp_path}: failed in another process: the loss is nan" in ended.err
    assert cli(*call).status == 0  # the same command, later, tries again


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("could not create a primitive"),  # oneDNN
        RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp"),  # in MIG mode
        MemoryError(),
    ],
)
def test_what_libraries_say_of_a_full_memory_is_understood(error):
    assert is_memory_full(error) and not is_memory_full(RuntimeError("shapes do not match"))


def test_a_run_that_fails_is_told_and_the_others_go_on(workshop, fine_tuned, tmp_path, cli, monkeypatch):
    calls, emptied, whole = [], [], session.fine_tune

    def second_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise MemoryError
        return whole(*arguments)

    monkeypatch.setattr(session, "fine_tune", second_fails)
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: emptied.append(len(calls)))
    masks = fine_tuned / "masks/winning"
    call = ("rewind.py", *options(workshop), *QUICK, "--masks", masks, "--output_dir", tmp_path)
    ended = cli(*call)
    assert ended.status == 1 and "3 runs: 2 finished, 1 failed" in ended.out and ended.err == ""
    assert emptied == [1, 2, 3]  # after each run
    (failed,) = tmp_path.rglob("failed.txt")
    assert "memory is full" in failed.read_text() and f"failed: {failed.parent}: the memory is full" in ended.out
    ended = cli(*call)
    assert ended.status == 0 and "3 runs: 3 finished, 0 failed" in ended.out
    assert not failed.exists() and len(calls) == 4


@pytest.mark.parametrize("error, kept", [(RunFailed("the memory is full"), True), (Diverged("the loss is nan"), False)])
def test_a_full_memory_keeps_the_checkpoints_and_a_divergence_removes_them(tmp_path, error, kept):
    run = Run(RunFolder(tmp_path), "dense", {}, 1, {})
    run.files.checkpoints.mkdir()
    with pytest.raises(RunFailed), failure_written(run):
        raise error
    assert run.files.checkpoints.exists() == kept and str(error) in run.files.failure.read_text()


def test_outputs_that_are_no_numbers_fail_a_run_whose_losses_were(workshop, tmp_path, cli):
    """The loss of the only update is that before it."""
    call = ("train.py", *options(workshop), "--do_train", "--epochs", 1, "--batch_size", 960, "--output_dir", tmp_path)
    ended = cli(*call, "--learning_rate", 1e30)
    assert ended.status == 1 and "epoch 1: outputs for sst are NaN or infinite" in ended.err
    assert "outputs for sst" in (tmp_path / "failed.txt").read_text() and not (tmp_path / "result.json").exists()


def test_outputs_for_held_out_rows_that_are_no_numbers_fail_a_run(workshop, tmp_path, cli, monkeypatch):
    """Else the metrics would take a row of them for an answer, and choose super tickets by it."""

    predict = evaluate.predict

    def one_held_out_row_is_not(model, task, split, *arguments):
        outputs = predict(model, task, split, *arguments)
        if len(split) != 60:  # the rows of dev
            outputs[0] = float("nan")
        return outputs

    monkeypatch.setattr(evaluate, "predict", one_held_out_row_is_not)
    ended = cli("train.py", *options(workshop), *QUICK, "--do_train", "--holdout", 0.1, "--output_dir", tmp_path)
    assert ended.status == 1 and "epoch 1: outputs for held-out rows of sst are NaN or infinite" in ended.err


def test_a_full_memory_is_not_taken_for_a_bad_encoder_or_checkpoint(workshop, tmp_path, cli, monkeypatch):
    def fails(*arguments, **more):
        raise torch.OutOfMemoryError("CUDA out of memory")

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

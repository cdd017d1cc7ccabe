"""What a stopped run leaves, and how the next start takes it. (Kills at any moment: tests/campaign/test_kills.py.)"""

import itertools
import json
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
import toy
from calls import QUICK, files_up_to, options
from in_memory import HEADS, LAYERS, make_model, make_split, make_task, train
from safetensors import safe_open
from safetensors.torch import save_file

from data_utils.files import sha256
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model
from mt_dnn.training.checkpoint import Checkpoints, Progress
from mt_dnn.training.optim import OPTIMIZERS, make_scheduler
from mt_dnn.training.pace import Pace
from mt_dnn.training.task_data import TaskData


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A folder for two trainings, one whole and one stopped; made by the first test that asks for them."""
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture
def stopped(workshop, once, tmp_path, cli, monkeypatch):
    """Fine-tune twice, once stopped in its second epoch.

    Return (the arguments of the stopped run, its folder, the folder of the whole run).
    """
    train = [
        "train.py",
        *options(workshop),
        *QUICK,
        "--epochs",
        2,
        "--log_per_updates",
        1,
        "--checkpoint_minutes",
        0,
        "--do_train",
        "--output_dir",
    ]
    if not (once / "stopped").exists():
        train_both(train, once, cli, monkeypatch)
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return [*train, tmp_path / "stopped"], tmp_path / "stopped", tmp_path / "whole"


def train_both(train, folder, cli, monkeypatch):
    assert cli(*train, folder / "whole").status == 0
    updates = 0

    def stop(count):
        def call(self, *arguments):
            nonlocal updates
            updates += 1
            if updates == 10:
                raise KeyboardInterrupt
            return count(self, *arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(Pace, "count", stop(Pace.count))
        ended = cli(*train, folder / "stopped")
    assert ended.status == 130 and "give the same command again" in ended.err
    assert {path.name for path in (folder / "stopped/checkpoint").iterdir()} == {"update_8", "update_9"}


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(stopped, cli):
    again, folder, whole = stopped
    state = folder / "checkpoint/update_9/state.safetensors"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    ended = cli(*again)
    assert ended.status == 0, ended.err
    assert f"{state.parent}: damaged" in ended.out and "checkpoint/update_8: epoch 2, 2 batches done" in ended.out
    for file in ("model/model.safetensors", "dev_predictions.tsv"):
        assert (folder / file).read_bytes() == (whole / file).read_bytes()
    assert not (folder / "checkpoint").exists()


def test_a_checkpoint_whose_end_the_disk_lost_before_its_fingerprint_was_taken_is_noticed(stopped, cli):
    again, folder, _ = stopped
    state = folder / "checkpoint/update_9/state.safetensors"
    state.write_bytes(state.read_bytes()[:-1000])
    (state.parent / "sha256").write_text(f"{sha256(state)}  state.safetensors\n")
    ended = cli(*again)
    assert ended.status == 0, ended.err
    assert f"{state.parent}: damaged" in ended.out and "checkpoint/update_8: epoch 2, 2 batches done" in ended.out


def test_without_a_whole_checkpoint_the_run_starts_anew(stopped, cli):
    again, folder, whole = stopped
    (folder / "checkpoint/update_9/sha256").unlink()
    state = folder / "checkpoint/update_8/state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    ended = cli(*again)
    assert ended.status == 0 and ended.out.count("damaged") == 2 and "resumes from" not in ended.out, ended.err
    assert (folder / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def test_going_on_with_other_options_is_refused(stopped, refused):
    again, folder, _ = stopped
    line = refused(*again, "--learning_rate", 1e-3, "--holdout", 0.2)
    assert "learning_rate 0.005, now 0.001" in line and "holdout 0.0, now 0.2" in line
    assert (folder / "checkpoint/update_9/state.safetensors").exists()


def test_going_on_in_another_precision_is_refused(stopped, cli):
    again, folder, _ = stopped
    begun = json.loads((folder / "config.json").read_text())["precision"]
    other = "float32" if begun == "bfloat16" else "bfloat16"
    complaint = f"this run was begun in {begun}, now {other}, expected the same; give --precision {begun} (FLAGS="
    ended = cli(*again, "--precision", other)
    assert ended.status == 1 and complaint in ended.err and ended.err.count("\n") == 1
    assert (folder / "checkpoint/update_9/state.safetensors").exists()


def test_a_checkpoint_of_another_version_fails_the_run(stopped, cli):
    again, folder, _ = stopped
    state = folder / "checkpoint/update_9/state.safetensors"
    with safe_open(state, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    table = "model.encoder.embeddings.word_embeddings.weight"
    save_file({**tensors, table: tensors[table][:3].clone()}, state, metadata)
    (state.parent / "sha256").write_text(sha256(state))
    ended = cli(*again)
    assert ended.status == 1 and ended.err.count("\n") == 1
    assert f"{state.parent}: weights or entries of other names or shapes" in ended.err
    assert "weights or entries" in (folder / "failed.txt").read_text() and state.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda rest: {**rest, "progress": {**rest["progress"], "phase": 2}},
        lambda rest: {key: value for key, value in rest.items() if key != "schedule"},
        lambda rest: {**rest, "optimizer": rest["optimizer"][:1]},
        lambda rest: {**rest, "optimizer_class": "Adamax"},
    ],
)
def test_a_checkpoint_of_a_later_version_fails_the_run(stopped, cli, change):
    again, folder, _ = stopped
    state = folder / "checkpoint/update_9/state.safetensors"
    with safe_open(state, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, state, {"rest": json.dumps(change(json.loads(metadata["rest"])))})
    (state.parent / "sha256").write_text(sha256(state))
    ended = cli(*again)
    assert ended.status == 1 and ended.err.count("\n") == 1
    assert "update_9: weights or entries of other names or shapes, expected a checkpoint that this" in ended.err


class Counting(torch.optim.SGD):
    """Its state has a plain number beside tensors, as that of many optimizers that are not torch's."""

    def step(self, closure=None):
        super().step(closure)
        for state in self.state.values():
            state["step"] = state.get("step", 0) + 1


def test_a_checkpoint_is_due_after_the_minutes_and_at_an_epochs_end_after_a_tenth_of_them(tmp_path, monkeypatch):
    seconds = 0.0
    monkeypatch.setattr("mt_dnn.training.checkpoint.time.monotonic", lambda: seconds)
    model = make_model(make_task())
    optimizer = Counting(model.parameters(), lr=0.1)
    checkpoints = Checkpoints(tmp_path, 10, model, optimizer, make_scheduler(optimizer, 9, 0))
    due = {}
    for seconds in (59.0, 60.0, 599.0, 600.0):
        due[seconds] = checkpoints.due(epoch_ends=False), checkpoints.due(epoch_ends=True)
    assert due == {59.0: (False, False), 60.0: (False, True), 599.0: (False, True), 600.0: (True, True)}
    checkpoints.save(1, Progress(batches=1))
    assert not checkpoints.due(epoch_ends=True)


def test_checkpoints_on_a_slow_disk_take_a_twentieth_of_the_time(tmp_path, monkeypatch):
    seconds = 0.0
    monkeypatch.setattr("mt_dnn.training.checkpoint.time.monotonic", lambda: seconds)

    def slow(*_):
        nonlocal seconds
        seconds += 40

    monkeypatch.setattr("mt_dnn.training.checkpoint.save_tensors", slow)
    monkeypatch.setattr("mt_dnn.training.checkpoint.sha256", lambda path: "0")
    model = make_model(make_task())
    optimizer = Counting(model.parameters(), lr=0.1)
    checkpoints = Checkpoints(tmp_path, 10, model, optimizer, make_scheduler(optimizer, 9, 0))
    seconds = 600.0
    assert checkpoints.due(epoch_ends=False)
    checkpoints.save(1, Progress(batches=1))
    for seconds in (640.0 + 799, 640.0 + 800):  # a tenth of the minutes, and all of them, were over before
        assert checkpoints.due(epoch_ends=True) == checkpoints.due(epoch_ends=False) == (seconds == 1440)


def test_a_checkpoint_keeps_all_of_an_optimizers_state(tmp_path):
    task, split = make_task(), make_split(4, seed=1)

    def training():
        model = make_model(task)
        optimizer = Counting(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = make_scheduler(optimizer, 9, 0)
        return model, optimizer, scheduler, Checkpoints(tmp_path, 0, model, optimizer, scheduler)

    model, optimizer, scheduler, checkpoints = training()
    for _ in range(3):
        loss_per_row(model, task, split.batch([0, 1, 2, 3])).sum().backward()
        optimizer.step()
        scheduler.step()
    checkpoints.save(3, Progress(batches=3))
    _, restored, _, checkpoints = training()
    assert checkpoints.restore().batches == 3
    states = optimizer.state_dict()["state"]
    assert len(states) > 10 and all(state["step"] == 3 for state in states.values())
    torch.testing.assert_close(restored.state_dict()["state"], states, rtol=0, atol=0)


def test_a_stray_folder_among_the_checkpoints_does_no_harm(stopped, cli):
    again, folder, whole = stopped
    shutil.copytree(folder / "checkpoint/update_9", folder / "checkpoint/update_9 (copy)")
    (folder / "checkpoint/update_last").mkdir()
    ended = cli(*again)
    assert ended.status == 0 and "checkpoint/update_9: epoch 2, 3 batches done" in ended.out, ended.err
    assert (folder / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(stopped, cli, refused):
    again, folder, whole = stopped
    with files_up_to(100_000):  # bytes in a file; the weights alone are more
        line = refused(*again)
    assert "state.safetensors" in line and "too large" in line.lower()
    assert {path.name for path in (folder / "checkpoint").iterdir()} == {"update_8", "update_9"}
    assert cli(*again).status == 0
    assert (folder / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def test_a_log_that_cannot_be_written_ends_with_one_line(workshop, tmp_path, refused):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    (tmp_path / "log.txt").symlink_to("/dev/full")
    assert "log.txt: No space left on device" in refused(
        "train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch, optimizer, precision):
    task, split, saved, save = make_task(), make_split(30, seed=1), [], Checkpoints.save
    options = OptimizationOptions(epochs=3, batch_size=8, learning_rate=1e-3, optimizer=optimizer)
    machine = MachineOptions(log_per_updates=1, checkpoint_minutes=0)

    ticks = itertools.count()  # a second passes between two looks at the clock
    monkeypatch.setattr("mt_dnn.training.pace.time", SimpleNamespace(perf_counter=lambda: next(ticks)))

    def trained(folder):
        model = Model(toy.encoder(layers=LAYERS, heads=HEADS, double=False), [task])
        model.draw_task_heads(1)
        torch.manual_seed(3)  # of dropout
        epochs, _ = train(model, [TaskData(task, split, {"toy": split})], options, machine, folder, precision)
        return model.state_dict(), [{**epoch, "seconds_evaluating": 0} for epoch in epochs]

    def stop(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 6:  # of 12 updates: within an epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Checkpoints, "save", stop)
        trained(tmp_path / "stopped")
    (weights, epochs), (whole, expected) = trained(tmp_path / "stopped"), trained(tmp_path / "whole")
    assert all(torch.equal(weights[name], whole[name]) for name in whole)
    assert epochs == expected  # losses, seconds, tokens per second and scores
    tokens = split.lengths.sum()
    assert [epoch["tokens_per_second"] for epoch in epochs] == [round(tokens / epoch["seconds"]) for epoch in epochs]

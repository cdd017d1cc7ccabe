"""A command that is killed and given again ends as if it had not been killed: every file has the same bytes.

Training, scoring, rewinding and reporting, in one process and in two, are killed at random moments, and whenever they
write, rename or remove a file.
"""

import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_tasks
from calls import ROOT, options
from fork_server import ForkServer

pytestmark = pytest.mark.slow

STEPWISE = ("--epochs", 2, "--train_fraction", 0.1, "--holdout", 0.1, "--log_per_updates", 1, "--checkpoint_minutes", 0)


@pytest.fixture(scope="module")
def server():
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def prepared(server, workshop, tmp_path_factory):
    """prepared(what) -> (folder to copy and work in, the command to kill there, the files that it must leave, seconds).

    The command is done once undisturbed.
    """
    data = [*options(workshop), *STEPWISE, "--task_def", ROOT / toy_tasks.TASK_DEF]
    train = ["train.py", *data, "--do_train", "--do_mask", "--sparsities", 0.2, 0.5, "--output_dir", "out"]
    rewind = ["rewind.py", *data, "--masks", "out/masks", "--save_model", "--output_dir", "out/rewind"]
    longer = [*train, "--epochs", 8]
    commands, done = {"training": ([], train), "longer training": ([], longer), "sweep": ([train], rewind)}, {}

    def call(what, processes=1):
        if (what, processes) not in done:
            before, command = commands[what]
            start, folder = tmp_path_factory.mktemp("start"), tmp_path_factory.mktemp("undisturbed") / "run"
            screen = start.parent / "screen.txt"
            assert server.call(before, start, screen, processes=processes) == 0, screen.read_text()
            shutil.copytree(start, folder)
            started = time.monotonic()
            assert server.call([command], folder, screen, processes=processes) == 0, screen.read_text()
            done[what, processes] = start, command, files_of(folder), time.monotonic() - started
        return done[what, processes]

    return call


def files_of(folder):
    """{file: its content, without what tells of time}."""
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix in (".json", ".jsonl"):
                content = re.sub(rb'"(seconds\w*|tokens_per_second)": [\d.]+', b"", content)
            if path.name == "report.csv":
                content = re.sub(rb",[\d.]+,([^,]*)\n", rb",\1\n", content)
            if path.name in ("log.txt", "report.md", "report.html"):
                content = b""
            found[str(path.relative_to(folder))] = content
    return found


def end_as_if_not_killed(folder, whole):
    files = files_of(folder)
    assert files.keys() == whole.keys()
    assert [name for name in files if files[name] != whole[name]] == []


@pytest.mark.parametrize("what, processes, kills", [("training", 1, 60), ("sweep", 1, 25), ("training", 2, 12)])
def test_killed_at_random_moments(server, prepared, tmp_path, what, processes, kills):
    start, command, whole, seconds = prepared(what, processes)
    rng, killed, screen = random.Random(f"{what} {processes}"), 0, tmp_path / "screen.txt"
    for attempt in itertools.count():
        folder, fresh = shutil.copytree(start, tmp_path / str(attempt)), True
        while True:
            moment = rng.uniform(0, seconds) if killed < kills else 600
            started = time.monotonic()
            status = server.call([command], folder, screen, processes=processes, kill_after=moment)
            if status == 0:
                break
            assert status == -signal.SIGKILL, screen.read_text()
            killed, fresh = killed + 1, False
        if fresh:  # it may have been faster than the undisturbed one
            seconds = min(seconds, time.monotonic() - started)
        end_as_if_not_killed(folder, whole)
        if killed >= kills:
            break


def test_killed_under_torchrun(prepared, tmp_path):
    """All of its processes are killed, and every third time a single one, whereupon torchrun ends the other."""
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc, to find the processes that torchrun started")
    start, command, whole, _ = prepared("longer training", 2)
    rng, killed, kills, screen = random.Random(1), 0, 15, tmp_path / "screen.txt"
    torchrun = [sys.executable, "-m", "mt_dnn.runtime.launch", "--standalone", "--nproc-per-node", "2"]
    for attempt in itertools.count():
        folder = shutil.copytree(start, tmp_path / str(attempt))
        while True:
            known = set(folder.glob("out/checkpoint/update_*"))
            with open(screen, "w") as output:
                started = subprocess.Popen(
                    [*torchrun, ROOT / command[0], *map(str, command[1:])],
                    cwd=folder,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
                    stdout=output,
                    stderr=output,
                )
            while not set(folder.glob("out/checkpoint/update_*")) - known and started.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.05))
            hit = killed < kills and started.poll() is None
            if hit:
                children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
                for process in children[:1] if killed % 3 == 1 else [started.pid, *children]:
                    os.kill(int(process), signal.SIGKILL)
            if started.wait() == 0:
                break
            assert hit, screen.read_text()  # it failed by itself
            killed += 1
        end_as_if_not_killed(folder, whole)
        if killed >= kills:
            break


def test_killed_whenever_a_file_is_written_renamed_or_removed(server, workshop, tmp_path):
    """Training, scoring, rewinding and reporting."""
    data = [*options(workshop), *STEPWISE, "--task_def", ROOT / toy_tasks.TASK_DEF]
    commands = [
        ["train.py", *data, "--do_train", "--do_mask", "--sparsities", 0.5, "--output_dir", "out"],
        ["rewind.py", *data, "--masks", "out/masks/winning", "--save_model", "--output_dir", "out/rewind"],
        ["mt_dnn/reports/__main__.py", "out"],
    ]
    folder, undisturbed, screen, deaths = tmp_path / "run", tmp_path / "undisturbed", tmp_path / "screen.txt", 0
    folder.mkdir(), undisturbed.mkdir()
    assert server.call(commands, undisturbed, screen) == 0, screen.read_text()
    for die_at in itertools.count(1):  # more every time, as what follows the training is done anew from its start
        status = server.call(commands, folder, screen, die_at=die_at)
        if status == 0:
            break
        assert status == -signal.SIGKILL, screen.read_text()
        deaths += 1
    assert deaths >= 20
    end_as_if_not_killed(folder, files_of(undisturbed))

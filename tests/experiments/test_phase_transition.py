"""What the scripts of experiments/phase_transition call, in a copy whose Python only notes its arguments."""

import os
import shutil
import subprocess

import pytest
from calls import copy_of_scripts

from mt_dnn.tickets.super_tickets import SuperTicket, read_super_tickets

FOLDER = "experiments/phase_transition"
PYTHON = '#!/bin/sh\nif [ "$1" = -c ]; then exit; fi\necho "$@" >> calls.txt\n'


@pytest.fixture
def call(tmp_path):
    """call("sweep", ["cpu,cpu"]) -> the command lines of that script on two CPU cores; on one by default.

    call("collect", []): without a GPU id.
    """
    copy_of_scripts(tmp_path, PYTHON)

    def of(name, arguments=("cpu",), expected=(0, "")):
        command = ["sh", f"{FOLDER}/{name}.sh", "five_tasks", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == expected, ended.stderr
        return (tmp_path / "calls.txt").read_text().splitlines()

    return of


@pytest.fixture
def before_sharing(tmp_path, call):
    """The copy of the experiment has a learning rate of all tasks in one encoder, and super tickets by five seeds."""
    with open(tmp_path / FOLDER / "five_tasks/hyper_parameters.sh", "a") as file:
        file.write("rate_of() { echo 2e-4; }\n")
    report = tmp_path / FOLDER / "five_tasks/report/super_tickets_held_out.yml"
    report.write_text(
        "# best mean score\nmrpc: {heads: 14, ffns: 0}   # 83.1, 5 seeds\n"
        "cola: {heads: 0, ffns: 0}   # 21.5 with 100.0 %, 5 seeds\n"
        "stsb: {heads: 7, ffns: 0}   # 84.0, 5 seeds\nsst: {heads: 7, ffns: 1}   # 88.1, 5 seeds\n"
    )
    return report


def flag(line, name):
    words = line.split()
    return words[words.index(f"--{name}") + 1]


def test_a_seed_of_the_sweep_trains_each_task_and_rewinds_its_own_masks_with_the_same_hyper_parameters(call):
    lines = [line for line in call("sweep") if "seed_2021" in line]
    by_task = {}
    for line in lines:
        by_task.setdefault(flag(line, "train_datasets"), []).append(line)
    assert list(by_task) == ["mrpc", "cola", "stsb", "sst", "movie"]
    for task, (trained, winning, controls) in by_task.items():
        folder = f"checkpoints/five_tasks/single/seed_2021/{task}"
        assert "train.py --do_train --do_mask" in trained and flag(trained, "output_dir") == folder
        assert flag(winning, "masks") == f"{folder}/masks/winning"
        assert "--sparsities 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.2 0.4 0.6 " in trained  # those of all kinds
        assert "--sparsities 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 " in winning
        assert f"--masks {folder}/masks/random {folder}/masks/losing --sparsities 0.2 0.4 0.6 " in controls
        for name in ("epochs", "learning_rate", "train_fraction", "holdout", "precision"):
            assert len({flag(line, name) for line in (trained, winning, controls)}) == 1


@pytest.mark.parametrize("name", ["sweep", "sharing", "questions"])
def test_seeds_on_the_command_line_are_run_alone(before_sharing, call, name):
    seeds = {
        flag(line, "seed" if "train.py" in line else "seeds")
        for line in call(name, ["cpu", "2020", "2022"])
        if "train.py" in line or "rewind.py" in line
    }
    assert seeds == {"2020", "2022"}


def test_a_process_alone_has_all_threads_and_several_share_the_cores(call, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    nproc = tmp_path / "programs/nproc"
    nproc.parent.mkdir()
    nproc.write_text("#!/bin/sh\necho 6\n")
    nproc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{nproc.parent}:{os.environ['PATH']}")
    python = tmp_path / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "${OMP_NUM_THREADS:-all}" "$@" >> calls.txt\n')
    lines = [line.split() for line in call("sweep", ["cpu,cpu"]) if "seed_2021" in line]
    threads = {(line[1] == "train.py", line[0]) for line in lines if "train.py" in line or "rewind.py" in line}
    assert threads == {(True, "all"), (False, "3")}


def test_the_grid_takes_every_task_at_every_rate_and_number_of_epochs(call):
    trained = [line for line in call("grid") if "train.py" in line]
    levels = [[flag(line, name) for name in ("train_datasets", "epochs", "learning_rate")] for line in trained]
    single = [level for level in levels if "," not in level[0]]
    assert len(single) == len(set(map(tuple, single))) == 5 * 2 * 4
    assert [level[1:] for level in levels if "," in level[0]] == [["6", "1e-4"], ["6", "2e-4"], ["6", "5e-4"]]


def test_the_grid_is_made_before_there_are_hyper_parameters_on_one_gpu_at_a_time(call, tmp_path):
    (tmp_path / FOLDER / "five_tasks/hyper_parameters.sh").unlink()
    assert any("train.py" in line for line in call("grid", ["cpu", "mrpc"]))
    error = f"{FOLDER}/grid.sh: error: several GPU ids, expected one: a grid makes one run at a time; call it once for "
    call("grid", ["0,1"], (2, f"{error}each GPU, with other TASKs\n"))
    missing = "epochs or no learning rate for mrpc, expected what grid.sh found to be best\n"
    call("sweep", ["cpu"], (2, f"{FOLDER}/sweep.sh: error: {FOLDER}/five_tasks/hyper_parameters.sh: no {missing}"))


@pytest.mark.parametrize("tasks", [("cola",), ("movie", "mrpc,cola,stsb,sst")])
def test_the_grid_takes_the_tasks_on_its_command_line_alone(call, tasks):
    trained = {flag(line, "train_datasets") for line in call("grid", ("cpu", *tasks)) if "train.py" in line}
    assert trained == set(tasks)
    call(
        "grid",
        ("cpu", "rte"),
        (
            2,
            f"{FOLDER}/grid.sh: error: rte: no such task, expected some of: mrpc cola stsb "
            "sst movie mrpc,cola,stsb,sst\n",
        ),
    )


def test_tickets_are_shared_by_masks_of_the_seed_and_its_random_control(before_sharing, call, tmp_path):
    """A task whose super ticket is the dense model shares its ticket at sparsity 0.2."""
    lines = [line for line in call("sharing") if "seed_2019" in line]
    assert ["--kind winning" in lines[0], "--kind random" in lines[1], "train.py" in lines[2]] == [True] * 3
    shared = read_super_tickets([tmp_path / flag(lines[0], "super_tickets")])
    assert shared == {
        "mrpc": SuperTicket(14, 0),
        "cola": SuperTicket(14, 1),
        "stsb": SuperTicket(7, 0),
        "sst": SuperTicket(7, 1),
    }
    assert flag(lines[0], "checkpoints") == "checkpoints/five_tasks/single/seed_2019"
    assert {flag(line, "output").rsplit("/", 2)[0] for line in lines[:2]} == {flag(lines[3], "masks")}


def test_tasks_that_share_no_encoder_need_no_super_ticket_and_one_seed_can_be_all(before_sharing, call, tmp_path):
    with open(tmp_path / FOLDER / "five_tasks/settings.sh", "a") as file:
        file.write("ALL_SEEDS=2019\n")
    text = before_sharing.read_text().replace("5 seeds", "1 seed")
    before_sharing.write_text(text + "movie: null\n")
    merged = next(line for line in call("sharing") if "--kind winning" in line)
    shared = read_super_tickets([tmp_path / flag(merged, "super_tickets")])
    assert list(shared) == ["mrpc", "cola", "stsb", "sst"]


def test_a_task_without_a_super_ticket_of_its_own_is_found_before_anything_is_trained(before_sharing, call):
    lines = before_sharing.read_text().splitlines(keepends=True)
    before_sharing.write_text("".join(line for line in lines if not line.startswith("stsb")))
    error = (
        f"{FOLDER}/sharing.sh: error: {before_sharing.relative_to(before_sharing.parents[4])}: no line for stsb, "
        "expected one for every task of TOGETHER; run sweep.sh five_tasks and collect.sh five_tasks with it before\n"
    )
    assert not any("train.py" in line for line in call("sharing", expected=(2, error)))


def test_super_tickets_that_not_all_seeds_chose_are_not_shared(before_sharing, call):
    before_sharing.write_text(before_sharing.read_text().replace("100.0 %, 5 seeds", "100.0 %, 3 seeds"))
    error = (
        f"{FOLDER}/sharing.sh: error: {before_sharing.relative_to(before_sharing.parents[4])}: not all 5 seeds chose "
        "for cola, expected the whole sweep; run collect.sh five_tasks after it\n"
    )
    assert not any("rewind.py" in line for line in call("sharing", expected=(2, error)))


def test_a_failed_run_does_not_stop_those_after_it(call, tmp_path):
    python = tmp_path / ".venv/bin/python"
    python.write_text(PYTHON + 'case "$*" in *rewind.py*masks/winning*|*train.py*seed_2019/cola*) exit 1 ;; esac\n')
    calls = [line for line in call("sweep", ("cpu", "2018", "2019"), (1, "")) if "train.py" in line or "rewind" in line]
    assert sum("train.py" in line for line in calls) == 10
    assert sum("masks/random" in line for line in calls) == sum("masks/winning" in line for line in calls) == 9


def test_every_task_is_trained_under_the_tickets_of_every_other_one_with_all_seeds(call):
    lines = [line for line in call("questions") if "--tickets_of" in line]
    pairs = {(flag(line, "seeds"), flag(line, "train_datasets"), flag(line, "tickets_of")) for line in lines}
    assert len(lines) == len(pairs) == 5 * 5 * 4
    assert all(f"/{flag(line, 'tickets_of')}/masks/winning" in flag(line, "masks") for line in lines)


def test_each_criterion_has_the_masks_of_one_model_and_its_own(call):
    lines = [line for line in call("questions") if "/criteria/seed_2019/sst" in line]
    trained = [line for line in lines if "train.py" in line]
    assert {flag(line, "output_dir") for line in trained} == {"checkpoints/five_tasks/criteria/seed_2019/sst"}
    assert [flag(line, "criterion") for line in trained] == ["example", "token", "loss", "magnitude", "example_loss"]
    assert len(lines) == 2 * len(trained)


def test_a_criterion_without_scores_is_not_rewound_and_the_others_are(call, tmp_path):
    (tmp_path / ".venv/bin/python").write_text(
        PYTHON + 'case "$*" in *train.py*"--criterion loss"*seed_2019/sst*) exit 1 ;; esac\n'
    )
    lines = [line for line in call("questions", ("cpu", "2019"), (1, "")) if "/criteria/seed_2019/sst" in line]
    rewound = [line for line in lines if "rewind.py" in line]
    assert len(lines) - len(rewound) == 5 and len(rewound) == 4


def test_records_are_collected_from_the_parts_that_have_finished_runs(call, tmp_path):
    records = tmp_path / FOLDER / "five_tasks"
    for committed in (records / "runs", *records.glob("*_records")):
        shutil.rmtree(committed)
    for part in ("single/seed_2018/mrpc", "sharing/dense/seed_2018"):
        (tmp_path / "checkpoints/five_tasks" / part).mkdir(parents=True)
        (tmp_path / "checkpoints/five_tasks" / part / "result.json").touch()
    for name in ("runs", "sharing_records"):  # as the first two commands write them
        (records / name).mkdir(parents=True)
        (records / name / "runs.jsonl").touch()
    assert [line.split()[1] for line in call("collect", [])] == [
        "mt_dnn.records.collect",
        "mt_dnn.records.collect",
        "mt_dnn.reports",
        "mt_dnn.reports.multi_task",
    ]

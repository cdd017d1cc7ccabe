"""The scripts as users call them, in a copy of the repository whose bert-base-uncased is a tiny one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import toy
import toy_tasks
from calls import ROOT, SCRIPTS_WITH_GPUID, result_of

from mt_dnn.tickets.super_tickets import read_super_tickets
from mt_dnn.tickets.ticket import counts_at


def call(folder, *command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", SCRIPTS_WITH_GPUID)
def test_without_an_argument_the_usage_is_printed(tmp_path, name):
    ended = call(tmp_path, ROOT / f"scripts/{name}.sh")  # from any folder
    assert ended.returncode == 2 and f"{name}.sh GPUID" in ended.stderr and "Traceback" not in ended.stderr


def test_epochs_are_those_of_the_paper():
    epochs = {"mnli": 3, "qqp": 6, "qnli": 3, "sst": 6, "mrpc": 6, "cola": 6, "rte": 6, "stsb": 6}
    for task, expected in epochs.items():
        lines = (ROOT / f"scripts/rewind_{task}_winning.sh").read_text().splitlines()
        at_its_top = {line.split("   #")[0] for line in lines}
        assert at_its_top >= {
            f"TASK={task}",
            "ENCODER=bert-base-uncased",
            f"EPOCHS={expected}",
            "LEARNING_RATE=5e-5",
            "BATCH_SIZE=32",
        }


def test_preparing_the_tasks_has_the_papers_epochs_and_masks_of_all_super_tickets():
    published = {
        "base": "mnli=3 qqp=6 qnli=3 sst=6 mrpc=6 cola=6 rte=6 stsb=6",
        "large": "mnli=3 qqp=5 qnli=5 sst=4 mrpc=6 cola=6 rte=6 stsb=6",
    }
    steps = (ROOT / "scripts/steps.sh").read_text()
    for model, layers, heads, step in (("base", 12, 12, 20), ("large", 24, 16, 40)):
        text = (ROOT / f"scripts/prepare_mtdnn_{model}.sh").read_text()
        assert f'EPOCHS_BY_TASK="{published[model]}"' in text
        sparsities = re.search(r'MASK_SPARSITIES:?="?([^"}]*)', text if model == "large" else steps)[1].split()
        assert {float(sparsity) for sparsity in sparsities if ":" not in sparsity} == {
            round((i + 1) / step, 3) for i in range(step)
        }
        levels = {counts_at(sparsity, layers, heads) for sparsity in sparsities} | {(0, 0)}
        published_tickets = read_super_tickets([ROOT / f"experiments/glue/super_tickets_{model}.yml"]).values()
        assert {(ticket.heads, ticket.ffns) for ticket in published_tickets} <= levels


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with toy GLUE, tokenized, and a tiny bert-base-uncased."""
    folder = tmp_path_factory.mktemp("scripts") / "repository"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "data", "checkpoints", "tests", "__pycache__"))
    toy_tasks.write_glue(folder / "data/glue")
    toy.save_encoder(folder / "data/encoders/bert-base-uncased")
    ended = call(folder, "sh", "experiments/glue/prepro.sh")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def edit(script, **variables):
    """Change variables at a script's top, as a user would."""
    text = script.read_text()
    for name, value in variables.items():
        text, found = re.subn(rf"(?m)^{name}=(\"[^\"]*\"|[^ \n]*)", f'{name}="{value}"', text)
        assert found == 1, name
    script.write_text(text)


@pytest.mark.slow
def test_the_users_workflow_from_raw_files_to_the_report(copy):
    for command in (["./scripts/train_mnli.sh", "cpu"], ["./scripts/rewind_mnli.sh", "cpu"]):
        ended = call(copy, *command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    output = copy / "checkpoints/bert-base-uncased/mnli"
    assert (
        len(list(output.glob("masks/winning/*.json"))) == 11
    )  # of 20 levels of 3 layers x 4 heads, some close as much as others
    assert len(list(output.glob("rewind/*/*/seed_2018/result.json"))) == 3 * 8
    assert "mnli_mismatched accuracy" in (output / "report.md").read_text() and (output / "report.png").exists()
    assert "bert-base-uncased" in (output / "masks/winning/heads_1_ffns_0.json").read_text()

    script = copy / "scripts/rewind_mnli_winning.sh"
    script.write_text(script.read_text().replace("SEEDS=", "SAVE_MODEL=yes\nSEEDS="))
    edit(script, SEEDS="2018 1", SPARSITIES="0.5")
    ended = call(copy, script, "cpu,cpu")
    assert ended.returncode == 0 and "1 runs, 0 finished before" in ended.stdout, (
        ended.stdout + ended.stderr
    )  # those before kept no model
    assert len(list(output.glob("rewind/winning/*/*/model/model.safetensors"))) == 2
    assert (output / "seed_1/masks/winning").is_dir() and len(
        list(output.glob("rewind/winning/*/seed_1/result.json"))
    ) == 1


@pytest.mark.slow
def test_tickets_sharing_from_single_tasks_to_domain_adaptation(copy):
    scripts, output = copy / "scripts", copy / "checkpoints/bert-base-uncased"
    ended = call(copy, "./scripts/train_mtdnn.sh", "cpu")
    assert (
        ended.returncode == 2
        and len(ended.stderr.splitlines()) == 1
        and "make them with python construct_mtl_mask.py" in ended.stderr
    )

    edit(scripts / "prepare_mtdnn_base.sh", EPOCHS_BY_TASK="rte=1 stsb=2")
    (copy / "experiments/glue/super_tickets_base.yml").write_text(
        "rte: {heads: 4, ffns: 1}\nstsb: {heads: 0, ffns: 0}\n"
    )
    edit(scripts / "train_mtdnn.sh", TASK="rte,stsb", EPOCHS=1)
    python = sys.executable
    for command in (
        ["./scripts/prepare_mtdnn_base.sh", "cpu"],
        [python, "construct_mtl_mask.py"],
        ["./scripts/train_mtdnn.sh", "cpu,cpu"],
    ):  # two processes
        ended = call(copy, *command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len((output / "stsb/metrics.jsonl").read_text().splitlines()) == 2
    shared = output / "mtdnn/winning/super_tickets/seed_2018"
    assert (
        "(2 processes)" in (shared / "log.txt").read_text() and result_of(shared)["tasks"]["rte"]["heads_closed"] == 4
    )

    edit(scripts / "train_mtdnn.sh", TICKETS_SHARING="no")
    ended = call(copy, "./scripts/train_mtdnn.sh", "cpu")
    assert (
        ended.returncode == 0
        and "| MT-DNN, bert-base-uncased |" in ended.stdout
        and "| Tickets-Share, bert-base-uncased |" in ended.stdout
    ), ended.stdout + ended.stderr

    edit(scripts / "domain_adaptation.sh", TASKS="scitail", FRACTIONS="0.1 1.0", EPOCHS=1)
    ended = call(copy, "./scripts/domain_adaptation.sh", "cpu")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    header, _, row = ended.stdout.splitlines()[-3:]
    assert header == "| task | folder | start | 10 % of the rows | 100 % of the rows |"
    assert (
        row.startswith("| scitail | domain_adaptation/tickets_sharing | bert-base-uncased trained on ")
        and "(winning)" in row
    )
    assert (
        "4 of 40 training rows"
        in (output / "domain_adaptation/tickets_sharing/scitail/rows_0.1/seed_2018/log.txt").read_text()
    )

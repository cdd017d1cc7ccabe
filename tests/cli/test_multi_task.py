"""Several tasks in one encoder end to end on a tiny BERT: MT-DNN, the report, parts of the rows."""

import json
import re
import shutil

import numpy as np
import pytest
from calls import QUICK, TOGETHER, options, result_of, rewind

from mt_dnn.tickets.masks import read_mask

# ---- train.py with several tasks ----


def test_all_tasks_learn_and_all_dev_sets_are_evaluated_every_epoch(mt_dnn_run):
    epochs = [json.loads(line) for line in (mt_dnn_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in epochs] == [45, 90, 135]  # 30 + 8 + 5 + 2 batches an epoch
    for line in epochs:
        assert set(line["dev"]) == {"sst", "rte", "stsb", "mnli_matched", "mnli_mismatched"} and set(
            line["loss_by_task"]
        ) == set(TOGETHER.split(","))
        rows = {"sst": 960, "rte": 240, "stsb": 160, "mnli": 40}
        assert line["loss"] == pytest.approx(
            sum(line["loss_by_task"][task] * n for task, n in rows.items()) / sum(rows.values()), abs=1e-5
        )
    result = result_of(mt_dnn_run)
    dev = result["dev"]
    assert dev["sst"]["accuracy"] >= 0.9 and epochs[-1]["loss_by_task"]["stsb"] < epochs[0]["loss_by_task"]["stsb"]
    assert result["average_score"] == pytest.approx(
        np.mean(
            [
                dev["sst"]["accuracy"],
                dev["rte"]["accuracy"],
                np.mean(list(dev["stsb"].values())),
                np.mean([dev[f"mnli_{name}"]["accuracy"] for name in ("matched", "mismatched")]),
            ]
        )
    )
    assert {path.name for path in mt_dnn_run.glob("dev_predictions*")} == {
        f"dev_predictions_{name}.tsv" for name in dev
    }
    log = (mt_dnn_run / "log.txt").read_text()
    assert f"average score {100 * result['average_score']:.2f}" in log
    assert (
        "| Model | sst (Acc) | rte (Acc) | stsb (P/S) | mnli-matched/mismatched (Acc) | Avg Score | Avg Weights |"
        in log
    )


def test_test_datasets_choose_among_the_dev_sets_of_all_tasks(workshop, tmp_path, cli, refused):
    train = ("train.py", *options(workshop, "sst,mnli", *QUICK), "--do_train", "--output_dir")
    assert cli(*train, tmp_path / "out", "--test_datasets", "mnli_mismatched,sst").status == 0
    assert list(result_of(tmp_path / "out")["dev"]) == ["sst", "mnli_mismatched"]
    assert "no dev set 'rte' of sst, mnli, expected some of: sst, mnli_matched" in refused(
        *train, tmp_path / "no", "--test_datasets", "sst,rte"
    )
    assert "none of mnli, expected at least one of: mnli_matched, mnli_mismatched" in refused(
        *train, tmp_path / "no", "--test_datasets", "sst"
    )
    assert "'sst,sst', expected names separated by commas, each once" in refused(
        "train.py", *options(workshop, "sst,sst"), "--do_train", "--output_dir", tmp_path / "no"
    )
    assert "--do_mask with --train_datasets sst,mnli: expected one task" in refused(
        *train, tmp_path / "no", "--do_mask"
    )
    assert not (tmp_path / "no").exists()


def test_a_shared_encoder_is_a_starting_point_for_another_task(workshop, mt_dnn_run, tmp_path, cli, refused):
    start = ("--init_checkpoint", mt_dnn_run / "model", "--output_dir", tmp_path / "out")
    train = ("train.py", *options(workshop, "rte", *QUICK), *start, "--do_train", "--do_mask", "--sparsities", 0.5)
    ended = cli(*train)
    assert ended.status == 0, ended.err
    mask = tmp_path / "out/masks/winning/heads_6_ffns_1.json"
    assert read_mask(mask).model["name"] == "tiny-bert trained on sst,rte,stsb,mnli (dense)"
    assert "fine-tuned and scored before" in cli(*train).out
    assert "tickets.rte: chosen in tiny-bert trained on" in refused(
        "rewind.py", *options(workshop, "rte"), "--masks", mask, "--output_dir", tmp_path / "no"
    )


# ---- rewind.py with several tasks ----


@pytest.mark.slow
def test_the_report_writes_super_tickets_that_can_be_merged(workshop, fine_tuned, tmp_path, cli):
    rewind(cli, workshop, [fine_tuned / "masks"], tmp_path, "--sparsities", 0.2, 0.5)
    ended = cli("mt_dnn/reports/__main__.py", tmp_path)
    assert f"super tickets: {tmp_path}/super_tickets.yml" in ended.out
    scores = {}
    for name in ("dense/heads_0_ffns_0", "winning/heads_2_ffns_0", "winning/heads_6_ffns_1"):
        scores[name] = result_of(tmp_path / name / "seed_2018")["dev"]["sst"]["accuracy"]
    best = max(reversed(scores), key=scores.get)  # of equals the sparser
    n_heads, n_ffns = re.fullmatch(r".*/heads_(\d+)_ffns_(\d+)", best).groups()
    assert f"sst: {{heads: {n_heads}, ffns: {n_ffns}}}" in (tmp_path / "super_tickets.yml").read_text()
    shutil.copytree(fine_tuned, tmp_path / "masks/sst")
    ended = cli(
        "construct_mtl_mask.py",
        "--super_tickets",
        tmp_path / "super_tickets.yml",
        "--checkpoints",
        tmp_path / "masks",
        "--output",
        tmp_path / "merged.json",
    )
    assert ended.status == 0, ended.err
    assert read_mask(tmp_path / "merged.json").tickets["sst"].counts == (int(n_heads), int(n_ffns))


def test_each_task_can_train_on_a_part_of_its_own(workshop, tmp_path, cli, refused):
    both = (*options(workshop, "sst,rte"), "--do_train", "--epochs", 1)
    ended = cli("train.py", *both, "--train_fraction", "0.1,0.5", "--output_dir", tmp_path)
    assert ended.status == 0, ended.err
    assert {task: entry["training_rows"] for task, entry in result_of(tmp_path)["tasks"].items()} == {
        "sst": 96,
        "rte": 120,
    }
    line = refused("train.py", *both, "--train_fraction", "0.1,0.5,1", "--output_dir", tmp_path / "new")
    assert "--train_fraction: 3 numbers, expected one, or 2" in line

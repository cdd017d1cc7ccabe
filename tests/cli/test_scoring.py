"""train.py --do_mask: which model and rows are scored, by which criterion, and the masks that come out."""

import json
import shutil

import numpy as np
import pytest
from calls import QUICK, options, rewind
from fake_runs import REPORT

from data_utils.rows import choose_rows
from data_utils.tokenized import read_split
from mt_dnn.model_files import load_model
from mt_dnn.run_folder import DEFAULT_CRITERION, RunFolder
from mt_dnn.tickets.criteria import CRITERIA, TaskRows, score
from mt_dnn.tickets.masks import read_mask
from mt_dnn.tickets.scores import fingerprint
from mt_dnn.tickets.ticket import TICKET_KINDS


def test_masks_have_all_kinds_and_sizes(fine_tuned):
    found = {str(path.relative_to(fine_tuned / "masks")) for path in (fine_tuned / "masks").rglob("*.json")}
    assert found == {
        "dense/heads_0_ffns_0.json",
        *(
            f"{kind}/{name}.json"
            for kind in TICKET_KINDS
            for name in ("heads_2_ffns_0", "heads_6_ffns_1", "heads_9_ffns_1")
        ),
    }
    mask = read_mask(fine_tuned / "masks/winning/heads_6_ffns_1.json")
    scores = json.loads((fine_tuned / "importance.json").read_text())
    assert (
        mask.provenance["scores"] == f"importance.json, scores sha256 {fingerprint(scores)}"
        and mask.provenance["seed"] == 2018
    )
    random = read_mask(fine_tuned / "masks/random/heads_6_ffns_1.json")
    assert random.provenance["drawn_from"] == "the seed 2018 and the task's name, sst"
    assert mask.tickets["sst"].ffns == {int(np.argmin(scores["ffns"]["raw"]))}
    normalised = np.array(scores["heads"]["normalised"])
    np.testing.assert_allclose(np.linalg.norm(normalised, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        normalised * np.linalg.norm(scores["heads"]["raw"], axis=1, keepdims=True), scores["heads"]["raw"], rtol=1e-5
    )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_goes_from_scores_to_the_report(workshop, fine_tuned, tmp_path, cli, criterion):
    for name in ("model", "config.json", "result.json", "metrics.jsonl", "dev_predictions.tsv"):
        (tmp_path / name).symlink_to(fine_tuned / name)
    scoring = (*options(workshop), "--do_mask", "--criterion", criterion, "--sparsities", "0.5")
    ended = cli("train.py", *scoring, "--output_dir", tmp_path)
    assert ended.status == 0, ended.err
    sample_rows = CRITERIA[criterion].sample_rows
    scores = json.loads(RunFolder(tmp_path).importance(criterion).read_text())
    assert scores["rows"] == (960 if sample_rows is None else min(960, sample_rows))
    masks = tmp_path / "masks" / ("" if criterion == DEFAULT_CRITERION else criterion) / "winning"
    assert f"4 masks, scores by {criterion}: " in ended.out and f"{masks}," in ended.out
    rewind(cli, workshop, [masks], tmp_path / "rewind")
    ended = cli(REPORT, tmp_path, "--output_dir", tmp_path / "report")
    assert ended.status == 0, ended.err
    assert f"Importance by the criterion `{criterion}`" in (tmp_path / "report/report.md").read_text()


def test_masks_come_from_a_model_fine_tuned_before(workshop, fine_tuned, tmp_path, cli):
    shutil.copytree(fine_tuned / "model", tmp_path / "model")
    ended = cli("train.py", *options(workshop), "--do_mask", "--output_dir", tmp_path, "--sparsities", "0.5")
    assert ended.status == 0, ended.err
    name = "masks/winning/heads_6_ffns_1.json"
    assert read_mask(tmp_path / name).tickets == read_mask(fine_tuned / name).tickets


def test_masks_are_made_from_scores_whose_model_is_gone(workshop, fine_tuned, tmp_path, cli):
    """To save disk; else it would be fine-tuned again, and its scores removed."""
    shutil.copytree(fine_tuned, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/model")
    call = ("train.py", *options(workshop), "--do_train", "--output_dir", tmp_path / "run")
    scores = (tmp_path / "run/importance.json").read_bytes()
    shutil.copy(tmp_path / "run/importance.json", tmp_path / "run/importance_backup.json")
    ended = cli(*call, "--do_mask", "--sparsities", 0.3)
    assert ended.status == 0 and "fine-tuned and scored before; its model is gone" in ended.out
    assert (tmp_path / "run/importance.json").read_bytes() == scores and not (tmp_path / "run/model").exists()
    assert "finished without a model, to be repeated" in cli(*call).out and (tmp_path / "run/model").exists()
    left = {path.name for path in (tmp_path / "run").glob("importance*")}
    assert left == {"importance_backup.json"}  # not the scores of the model that is gone, nor their picture


def test_a_model_of_an_unfinished_run_is_not_scored(workshop, fine_tuned, tmp_path, refused):
    scoring = ("train.py", *options(workshop), "--do_mask", "--output_dir")
    assert "none: no finished run, expected a fine-tuned model to score; add --do_train" in refused(
        *scoring, tmp_path / "none"
    )
    for name in ("model", "config.json"):  # killed before its result was written
        (tmp_path / name).symlink_to(fine_tuned / name)
    assert f"{tmp_path}: no finished run" in refused(*scoring, tmp_path)
    assert not (tmp_path / "none").exists()


def test_a_model_is_scored_with_its_own_seed_and_rows(workshop, fine_tuned, tmp_path, refused):
    """Other rows would choose the tickets, and other random masks would take the place of those that are there."""
    for name in ("model", "config.json", "result.json"):
        (tmp_path / name).symlink_to(fine_tuned / name)
    scoring = ("train.py", *options(workshop), "--do_mask", "--output_dir", tmp_path)
    assert "made with seed 2018, now 7" in refused(*scoring, "--seed", 7)
    assert "made with train_fraction" in refused(*scoring, "--train_fraction", 0.5)
    config = json.loads((fine_tuned / "config.json").read_text())
    config["data"]["sst_train"] = "0" * 16
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "made with other rows, or another tokenization, of sst_train" in refused(*scoring)


def test_a_model_with_a_ticket_is_not_scored(workshop, fine_tuned, tmp_path, cli, refused):
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    rewind(cli, workshop, masks, tmp_path, "--save_model", *QUICK)
    (run,) = tmp_path.glob("winning/*/seed_*")
    (tmp_path / "model").symlink_to(run / "model")
    told = refused("train.py", *options(workshop), *QUICK, "--do_mask", "--output_dir", tmp_path)
    assert "model: a model with a winning ticket, expected the dense model of train.py to score" in told


def test_a_run_in_bfloat16_is_scored_in_float32(workshop, tmp_path, cli):
    more = ("--precision", "bfloat16", "--do_train", "--do_mask", "--sparsities", 0.5, "--output_dir", tmp_path)
    assert cli("train.py", *options(workshop), *QUICK, *more).status == 0
    task = workshop.tasks["sst"]
    rows = read_split(workshop.data, task, "train").part(choose_rows(960, 0.2, seed=2018))
    heads, ffns = score(load_model(tmp_path / "model", [task]), TaskRows(task, rows, 32, 2048), DEFAULT_CRITERION)
    written = json.loads((tmp_path / "importance.json").read_text())
    np.testing.assert_allclose(written["heads"]["raw"], heads, rtol=1e-4)
    np.testing.assert_allclose(written["ffns"]["raw"], ffns, rtol=1e-4)

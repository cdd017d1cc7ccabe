"""Masks belong to the scores that chose them, and to the encoder that they are rewound in."""

import json
import shutil

import numpy as np
import pytest
from calls import QUICK, options, rewind

from mt_dnn.tickets.scores import fingerprint


def test_the_fingerprint_covers_the_scores_and_what_they_were_made_from_but_not_the_folder(fine_tuned):
    content = json.loads((fine_tuned / "importance.json").read_text())
    moved = {**content, "checkpoint": "elsewhere/model"}
    assert fingerprint(moved) == fingerprint(content)
    assert fingerprint({**content, "holdout": 0.5}) != fingerprint(content)
    assert fingerprint({**content, "ffns": {"raw": content["ffns"]["raw"][::-1]}}) != fingerprint(content)
    mask = json.loads((fine_tuned / "masks/winning/heads_2_ffns_0.json").read_text())
    assert mask["provenance"]["scores"] == f"importance.json, scores sha256 {fingerprint(moved)}"


def test_masks_of_other_scores_go_and_foreign_ones_stay(workshop, fine_tuned, tmp_path, cli):
    shutil.copytree(fine_tuned, tmp_path / "run")
    masks = tmp_path / "run/masks"
    for name, scores in (
        ("winning/heads_3_ffns_0.json", "importance.json sha256 0"),
        ("winning/heads_4_ffns_0.json", None),
        ("mine/heads_5_ffns_0.json", "other"),
    ):
        content = json.loads((masks / "winning/heads_2_ffns_0.json").read_text())
        content["provenance"] = {"scores": scores} if scores else {}
        (masks / name).parent.mkdir(exist_ok=True)
        (masks / name).write_text(json.dumps(content))
    assert (
        cli(
            "train.py",
            *options(workshop),
            "--do_mask",
            "--output_dir",
            tmp_path / "run",
            "--sparsities",
            "0.9",
            "--min_heads_per_layer",
            2,
        ).status
        == 0
    )
    assert {path.stem for path in masks.glob("[wm]*/*")} == {"heads_4_ffns_0", "heads_5_ffns_0", "heads_6_ffns_2"}
    rewind(cli, workshop, [masks / "losing"], tmp_path / "out", "--sparsities", "0.9", *QUICK)
    assert (tmp_path / "out/losing/heads_6_ffns_2").is_dir()  # the level as it was when two heads per layer stayed


def test_a_new_model_removes_the_masks_of_the_old_one_by_every_criterion(workshop, fine_tuned, tmp_path, cli):
    run = tmp_path / "run"
    shutil.copytree(fine_tuned, run)
    call = ("train.py", *options(workshop), "--output_dir", run, "--do_mask", "--sparsities", 0.5)
    assert cli(*call, "--criterion", "magnitude").status == 0
    assert (run / "masks/magnitude/winning/heads_6_ffns_1.json").exists()
    (run / "result.json").unlink()
    shutil.rmtree(run / "model")
    assert cli(*call, *QUICK, "--do_train").status == 0
    assert not [*(run / "masks/magnitude").rglob("*.json")]
    assert [path.name for path in (run / "masks/winning").iterdir()] == ["heads_6_ffns_1.json"]


def test_runs_do_not_go_into_a_folder_of_masks(workshop, fine_tuned, refused):
    masks = fine_tuned / "masks"
    line = refused("rewind.py", *options(workshop), "--masks", masks, "--output_dir", masks / "winning/rewind")
    assert f"--output_dir {masks / 'winning/rewind'}: in --masks {masks}, expected a folder outside of it" in line
    assert not (masks / "winning/rewind").exists()


def test_sparsities_choose_among_masks(workshop, fine_tuned, tmp_path, cli, refused):
    rewind(cli, workshop, [fine_tuned / "masks/winning"], tmp_path, "--sparsities", "0.5", *QUICK)
    assert [path.name for path in (tmp_path / "winning").iterdir()] == ["heads_6_ffns_1"]
    for folder, sparsity, where in (("winning", "0.9", fine_tuned / "masks/winning"), ("dense", "0.5", "--masks")):
        assert f"--sparsities {sparsity}: no mask in {where} is at this sparsity" in refused(
            "rewind.py",
            *options(workshop),
            "--masks",
            fine_tuned / "masks" / folder,
            "--output_dir",
            tmp_path,
            "--sparsities",
            "0.5",
            sparsity,
        )


def test_masks_that_do_not_fit_are_refused_before_anything_runs(workshop, fine_tuned, tmp_path, refused):
    def call(mask, task="sst"):
        return refused("rewind.py", *options(workshop, task), "--masks", *mask, "--output_dir", tmp_path / "out")

    mask = fine_tuned / "masks/winning/heads_6_ffns_1.json"
    assert "tickets for sst, expected one for 'rte'" in call([mask], "rte")
    content = json.loads(mask.read_text())
    content["model"] |= {"name": "bert-base-uncased", "layers": 12, "heads": 12}
    (tmp_path / "base.json").write_text(json.dumps(content))
    assert "made for another model: layers 12, the encoder has 3" in call([tmp_path / "base.json"])
    shutil.copy(mask, tmp_path / "twin.json")
    assert "would both go to" in call([mask, tmp_path / "twin.json"])
    assert "no mask found" in call([tmp_path / "nothing*"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "heads, ffns, complaint",
    [
        (np.full((3, 4), np.nan), np.ones(3), "head scores are not finite"),
        (np.ones((3, 4)), np.array([1, np.inf, 1]), "FFN scores are not finite"),
        (np.zeros((3, 4)), np.ones(3), "all head scores are zero"),
        (np.ones((3, 4)), np.zeros(3), "all FFN scores are zero"),
    ],
)
def test_scores_that_rank_nothing_make_no_mask_and_no_picture(
    workshop, fine_tuned, tmp_path, refused, monkeypatch, heads, ffns, complaint
):
    for name in ("model", "config.json", "result.json"):
        (tmp_path / name).symlink_to(fine_tuned / name)
    monkeypatch.setattr("mt_dnn.runs.scoring.score", lambda *_: (heads, ffns))
    assert complaint in refused("train.py", *options(workshop), "--do_mask", "--output_dir", tmp_path)
    assert not list(tmp_path.glob("importance*"))

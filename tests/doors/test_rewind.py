"""rewind.py end to end on a tiny BERT and toy tasks."""

import json
import shutil

import numpy as np
import pytest
import torch
import toy_tasks
from calls import QUICK, files_up_to, options, result_of, rewind
from safetensors.torch import load_file

from data_utils.errors import UserError
from data_utils.files import sha256
from mt_dnn.model import load_model
from mt_dnn.tickets.scores import fingerprint, write_importance

# ---- rewind.py ----


def test_an_empty_ticket_rewinds_to_the_fine_tuned_model(workshop, fine_tuned, tmp_path, door):
    rewind(door, workshop, [fine_tuned / "masks/dense"], tmp_path)
    run = tmp_path / "dense/heads_0_ffns_0/seed_2018"
    assert (run / "dev_predictions.tsv").read_text() == (fine_tuned / "dev_predictions.tsv").read_text()
    assert result_of(run)["dev"] == result_of(fine_tuned)["dev"]


def test_a_run_does_not_depend_on_the_runs_before_it(workshop, fine_tuned, tmp_path, door):
    masks = fine_tuned / "masks"
    rewind(
        door,
        workshop,
        [masks / "losing", masks / "random/heads_6_ffns_1.json"],
        tmp_path / "many",
        "--seeds",
        1,
        2,
        "--save_model",
        *QUICK,
    )
    rewind(
        door, workshop, [masks / "random/heads_6_ffns_1.json"], tmp_path / "alone", "--seeds", 2, "--save_model", *QUICK
    )
    name = "random/heads_6_ffns_1/seed_2"
    for file in ("dev_predictions.tsv", "model/model.safetensors"):
        assert (tmp_path / "many" / name / file).read_bytes() == (tmp_path / "alone" / name / file).read_bytes()
    assert (tmp_path / "many/random/heads_6_ffns_1/seed_1/dev_predictions.tsv").read_bytes() != (
        tmp_path / "many" / name / "dev_predictions.tsv"
    ).read_bytes()


def test_keeping_gates_trains_the_same_ticket(workshop, fine_tuned, tmp_path, door):
    mask = fine_tuned / "masks/losing/heads_6_ffns_1.json"
    for name, more in (("pruned", ()), ("gated", ("--keep_gates",))):
        rewind(door, workshop, [mask], tmp_path / name, "--encoder_dropout", 0, "--save_model", *QUICK, *more)
    task = workshop.tasks["sst"]
    pruned, gated = (
        load_model(tmp_path / name / "losing/heads_6_ffns_1/seed_2018/model", [task]) for name in ("pruned", "gated")
    )
    for name, parameter in pruned.named_parameters():  # float32, and Adamax divides small gradients by small gradients
        torch.testing.assert_close(gated.get_parameter(name), parameter, rtol=0, atol=2e-3)


def test_finished_runs_are_skipped_and_unfinished_ones_done(workshop, fine_tuned, tmp_path, door, refused):
    masks = [fine_tuned / "masks/winning"]
    assert "3 runs, 0 finished before" in rewind(door, workshop, masks, tmp_path, *QUICK).out
    (tmp_path / "winning/heads_6_ffns_1/seed_2018/result.json").unlink()
    assert "3 runs, 2 finished before" in rewind(door, workshop, masks, tmp_path, *QUICK).out
    assert "3 runs, 3 finished before" in rewind(door, workshop, masks, tmp_path, *QUICK).out
    assert "made with epochs 1, now 4" in refused(
        "rewind.py", *options(workshop, "sst", *QUICK, "--epochs", 4), "--masks", *masks, "--output_dir", tmp_path
    )


def test_a_model_asked_for_later_is_made(workshop, fine_tuned, tmp_path, door):
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    rewind(door, workshop, masks, tmp_path, *QUICK)
    assert "1 runs, 0 finished before" in rewind(door, workshop, masks, tmp_path, "--save_model", *QUICK).out
    assert (tmp_path / "winning/heads_6_ffns_1/seed_2018/model/model.safetensors").exists()


def test_a_run_that_is_done_once_more_is_not_finished_until_its_end(workshop, fine_tuned, tmp_path, door, monkeypatch):
    """Killed between its model and its result, it would else keep the result of before beside another model."""
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    rewind(door, workshop, masks, tmp_path, *QUICK)

    def killed(*arguments):
        raise KeyboardInterrupt

    call = ("rewind.py", *options(workshop), *QUICK, "--masks", *masks, "--output_dir", tmp_path, "--save_model")
    with monkeypatch.context() as patch:
        patch.setattr("mt_dnn.runs.session.result_of", killed)
        assert door(*call).status == 130
    run = tmp_path / "winning/heads_6_ffns_1/seed_2018"
    assert (run / "model").exists() and not (run / "result.json").exists()
    assert "1 runs, 0 finished before" in door(*call).out and (run / "result.json").exists()


def test_accumulated_batches_train_like_one_large_batch(workshop, fine_tuned, tmp_path, door):
    tasks = tmp_path / "tasks.yml"
    tasks.write_text(open(toy_tasks.TASK_DEF).read().replace("sst:\n", "sst:\n  head_dropout: 0.0\n"))
    trained, losses = [], []
    for name, sizes in (
        ("large", ("--batch_size", 192)),
        ("small", ("--batch_size", 32, "--grad_accumulation_step", 6)),
    ):
        rewind(
            door,
            workshop,
            [fine_tuned / "masks/winning/heads_6_ffns_1.json"],
            tmp_path / name,
            "--task_def",
            tasks,
            "--encoder_dropout",
            0,
            "--save_model",
            *QUICK,
            *sizes,
        )
        run = tmp_path / name / "winning/heads_6_ffns_1/seed_2018"
        epoch = json.loads((run / "metrics.jsonl").read_text())
        assert epoch["step"] == 1
        losses.append(epoch["loss"])
        trained.append(load_file(run / "model/model.safetensors"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    # The first step of Adamax depends on the gradient's sign alone, so the weights may differ where the gradient is
    # only rounding error.
    close = torch.cat(
        [torch.isclose(trained[1][name], weight, rtol=0, atol=1e-5).flatten() for name, weight in trained[0].items()]
    )
    assert close.float().mean() > 0.99


def test_bfloat16_trains_too(workshop, fine_tuned, tmp_path, door):
    rewind(door, workshop, [fine_tuned / "masks/winning/heads_6_ffns_1.json"], tmp_path, "--precision", "bfloat16")
    run = tmp_path / "winning/heads_6_ffns_1/seed_2018"
    assert (
        result_of(run)["dev"]["sst"]["accuracy"] >= 0.9
        and json.loads((run / "config.json").read_text())["precision"] == "bfloat16"
    )


def test_changed_data_is_noticed(workshop, fine_tuned, tmp_path, door, refused):
    toy_tasks.write_sst(tmp_path / "glue", rows=32, seed=7)
    arguments = (
        "prepro.py",
        "--raw_dir",
        tmp_path / "glue",
        "--data_dir",
        tmp_path / "data",
        "--tasks",
        "sst",
        "--init_checkpoint",
        workshop.encoder,
        "--max_seq_len",
        64,
    )
    assert door(*arguments).status == 0
    rewind(door, workshop, [fine_tuned / "masks/dense"], tmp_path / "out", *QUICK)
    assert "made with other rows, or another tokenization, of sst_dev, sst_train; " in refused(
        "rewind.py",
        *options(workshop, "sst", *QUICK),
        "--data_dir",
        tmp_path / "data",
        "--masks",
        fine_tuned / "masks/dense",
        "--output_dir",
        tmp_path / "out",
    )


def test_the_fingerprint_of_scores_does_not_depend_on_the_folder(workshop, fine_tuned, tmp_path, door):
    """It covers the scores and what they were made from. Older masks, which name the file's fingerprint, stay too."""
    content = json.loads((fine_tuned / "importance.json").read_text())
    moved = {**content, "checkpoint": "elsewhere/model"}
    assert fingerprint(moved) == fingerprint(content)
    assert fingerprint({**content, "holdout": 0.5}) != fingerprint(content)
    assert fingerprint({**content, "ffns": {"raw": content["ffns"]["raw"][::-1]}}) != fingerprint(content)

    shutil.copytree(fine_tuned, tmp_path / "run")
    old = tmp_path / "run/masks/winning/heads_2_ffns_0.json"
    mask = json.loads(old.read_text())
    assert mask["provenance"]["scores"] == f"importance.json, scores sha256 {fingerprint(moved)}"
    mask["provenance"]["scores"] = f"importance.json sha256 {sha256(tmp_path / 'run/importance.json')}"
    old.write_text(json.dumps(mask))
    more = ("--do_mask", "--output_dir", tmp_path / "run", "--sparsities", 0.5)
    assert door("train.py", *options(workshop), *more).status == 0
    assert json.loads(old.read_text()) == mask
    rewind(door, workshop, [old], tmp_path / "out", *QUICK)


def test_masks_of_other_scores_go_and_foreign_ones_stay(workshop, fine_tuned, tmp_path, door):
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
        door(
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
    assert {path.stem for path in masks.glob("[wm]*/*")} == {
        "heads_2_ffns_0",
        "heads_6_ffns_1",
        "heads_9_ffns_1",
        "heads_4_ffns_0",
        "heads_5_ffns_0",
        "heads_6_ffns_2",
    }
    rewind(door, workshop, [masks / "losing"], tmp_path / "out", "--sparsities", "0.9", *QUICK)
    assert (tmp_path / "out/losing/heads_6_ffns_2").is_dir()  # the level as it was when two heads per layer stayed


def test_sparsities_choose_among_masks(workshop, fine_tuned, tmp_path, door, refused):
    rewind(door, workshop, [fine_tuned / "masks/winning"], tmp_path, "--sparsities", "0.5", *QUICK)
    assert [path.name for path in (tmp_path / "winning").iterdir()] == ["heads_6_ffns_1"]
    assert "--sparsities 0.9: none of the 3 masks" in refused(
        "rewind.py",
        *options(workshop),
        "--masks",
        fine_tuned / "masks/winning",
        "--output_dir",
        tmp_path,
        "--sparsities",
        "0.5",
        "0.9",
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
def test_scores_that_rank_nothing_make_no_mask(tmp_path, heads, ffns, complaint):
    with pytest.raises(UserError, match=complaint):
        write_importance(tmp_path / "importance.json", heads, ffns, {})
    assert not (tmp_path / "importance.json").exists()


def test_a_loss_that_is_no_number_ends_with_one_line_and_no_result(workshop, tmp_path, door):
    train = (
        "train.py",
        *options(workshop),
        *QUICK,
        "--epochs",
        2,
        "--do_train",
        "--output_dir",
        tmp_path,
        "--log_per_updates",
        1,
        "--checkpoint_minutes",
        0,
    )
    ended = door(*train, "--learning_rate", 1e30)
    assert (
        ended.status == 1
        and len(ended.err.splitlines()) == 1
        and ("the loss is nan" in ended.err or "the loss is inf" in ended.err)
    )
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "log.txt", "failed.txt"}
    assert door(*train).status == 0  # no checkpoint with what is no number stands in the way
    assert not (tmp_path / "failed.txt").exists()


def test_a_full_disk_is_one_line_and_the_runs_are_done_later(workshop, fine_tuned, tmp_path, door, refused):
    call = ("rewind.py", *options(workshop), *QUICK, "--masks", fine_tuned / "masks/winning", "--save_model")
    with files_up_to(20_000):  # bytes in a file; the weights are more
        line = refused(*call, "--output_dir", tmp_path)
    assert "too large" in line.lower() and not list(tmp_path.rglob("result.json"))
    ended = door(*call, "--output_dir", tmp_path)
    assert ended.status == 0 and "3 runs: 3 finished, 0 failed" in ended.out

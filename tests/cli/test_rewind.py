"""rewind.py end to end on a tiny BERT and toy tasks."""

import json

import pytest
import torch
import toy_tasks
from calls import QUICK, result_of, rewind
from safetensors.torch import load_file

from mt_dnn.model_files import load_model


def test_an_empty_ticket_rewinds_to_the_fine_tuned_model(workshop, fine_tuned, tmp_path, cli):
    rewind(cli, workshop, [fine_tuned / "masks/dense"], tmp_path)
    run = tmp_path / "dense/heads_0_ffns_0/seed_2018"
    assert (run / "dev_predictions.tsv").read_text() == (fine_tuned / "dev_predictions.tsv").read_text()
    assert result_of(run)["dev"] == result_of(fine_tuned)["dev"]


def test_a_run_does_not_depend_on_the_runs_before_it(workshop, fine_tuned, tmp_path, cli):
    masks = fine_tuned / "masks"
    rewind(
        cli,
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
        cli, workshop, [masks / "random/heads_6_ffns_1.json"], tmp_path / "alone", "--seeds", 2, "--save_model", *QUICK
    )
    name = "random/heads_6_ffns_1/seed_2"
    for file in ("dev_predictions.tsv", "model/model.safetensors"):
        assert (tmp_path / "many" / name / file).read_bytes() == (tmp_path / "alone" / name / file).read_bytes()
    assert (tmp_path / "many/random/heads_6_ffns_1/seed_1/dev_predictions.tsv").read_bytes() != (
        tmp_path / "many" / name / "dev_predictions.tsv"
    ).read_bytes()


def test_keeping_gates_trains_the_same_ticket(workshop, fine_tuned, tmp_path, cli):
    mask = fine_tuned / "masks/losing/heads_6_ffns_1.json"
    for name, more in (("pruned", ()), ("gated", ("--keep_gates",))):
        rewind(cli, workshop, [mask], tmp_path / name, "--encoder_dropout", 0, "--save_model", *QUICK, *more)
        run = tmp_path / name / "losing/heads_6_ffns_1/seed_2018"
        log = (run / "log.txt").read_text()
        assert ("closed by gates" in log) == (name == "gated")
        assert f"mask: {mask}\n" in log
        assert json.loads((run / "config.json").read_text())["keep_gates"] == (name == "gated")
    task = workshop.tasks["sst"]
    pruned, gated = (
        load_model(tmp_path / name / "losing/heads_6_ffns_1/seed_2018/model", [task]) for name in ("pruned", "gated")
    )
    for name, parameter in pruned.named_parameters():  # float32, and Adamax divides small gradients by small gradients
        torch.testing.assert_close(gated.get_parameter(name), parameter, rtol=0, atol=2e-3)


def test_accumulated_batches_train_like_one_large_batch(workshop, fine_tuned, tmp_path, cli):
    tasks = tmp_path / "tasks.yml"
    tasks.write_text(open(toy_tasks.TASK_DEF).read().replace("sst:\n", "sst:\n  head_dropout: 0.0\n"))
    trained, losses = [], []
    for name, sizes in (
        ("large", ("--batch_size", 192)),
        ("small", ("--batch_size", 32, "--grad_accumulation_step", 6)),
    ):
        rewind(
            cli,
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


def test_a_task_is_trained_under_anothers_ticket(workshop, fine_tuned, tmp_path, cli):
    masks = [fine_tuned / "masks/winning"]
    rewind(cli, workshop, masks, tmp_path, "--tickets_of", "sst", "--sparsities", 0.5, *QUICK, task="rte")
    run = tmp_path / "tickets_of_sst/winning/heads_6_ffns_1/seed_2018"
    assert result_of(run)["tasks"]["rte"]["tickets_of"] == "sst"
    assert result_of(run)["dev"].keys() == {"rte"}


def test_bfloat16_trains_too(workshop, fine_tuned, tmp_path, cli):
    rewind(cli, workshop, [fine_tuned / "masks/winning/heads_6_ffns_1.json"], tmp_path, "--precision", "bfloat16")
    run = tmp_path / "winning/heads_6_ffns_1/seed_2018"
    assert (
        result_of(run)["dev"]["sst"]["accuracy"] >= 0.9
        and json.loads((run / "config.json").read_text())["precision"] == "bfloat16"
    )

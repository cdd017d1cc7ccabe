"""train.py end to end on a tiny BERT and toy tasks: training, scores, masks, checkpoints."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from calls import QUICK, options, result_of, rewind
from fake_runs import REPORT
from safetensors.torch import load_file, save_file

from data_utils.batches import split_rows
from data_utils.errors import UserError
from data_utils.run_folder import DEFAULT_CRITERION
from data_utils.tokenized import TokenizedSplit
from mt_dnn.encoders.pretrained import load_encoder
from mt_dnn.model import count_parameters, load_model
from mt_dnn.tickets.criteria import CRITERIA
from mt_dnn.tickets.masks import read_mask
from mt_dnn.tickets.scores import fingerprint
from mt_dnn.tickets.ticket import TICKET_KINDS
from mt_dnn.training.evaluate import measure, predict

# ---- train.py ----


def test_training_learns_and_writes_what_a_person_reads(fine_tuned):
    assert {path.name for path in fine_tuned.iterdir()} == {
        "config.json",
        "log.txt",
        "metrics.jsonl",
        "result.json",
        "model",
        "importance.json",
        "importance.png",
        "masks",
        "dev_predictions.tsv",
    }
    epochs = [json.loads(line) for line in (fine_tuned / "metrics.jsonl").read_text().splitlines()]
    assert (
        [line["epoch"] for line in epochs] == [1, 2, 3]
        and epochs[-1]["step"] == 90
        and epochs[-1]["loss"] < epochs[0]["loss"]
    )
    assert result_of(fine_tuned)["dev"]["sst"]["accuracy"] >= 0.9
    log = (fine_tuned / "log.txt").read_text()
    for wanted in (
        "command: ",
        "versions: ",
        "seed 2018",
        "960 of 960 training rows",
        "parameters: ",
        "update 25/90",
        "tokens/s",
        " left",
        "dev: sst accuracy",
        "importance by example",
    ):
        assert wanted in log
    assert (fine_tuned / "importance.png").read_bytes().startswith(b"\x89PNG")


def test_evaluating_less_often_changes_nothing_else(workshop, tmp_path, door):
    for every in (1, 2):
        options_of_run = (*options(workshop), *QUICK, "--epochs", 3, "--evaluate_every", every, "--do_train")
        assert door("train.py", *options_of_run, "--output_dir", tmp_path / str(every)).status == 0
    epochs = [json.loads(line) for line in (tmp_path / "2/metrics.jsonl").read_text().splitlines()]
    assert ["dev" in line for line in epochs] == [False, True, True]
    assert (tmp_path / "2/log.txt").read_text().count("  not evaluated  ") == 1
    weights = [(tmp_path / f"{every}/model/model.safetensors").read_bytes() for every in (1, 2)]
    assert weights[0] == weights[1] and result_of(tmp_path / "1")["dev"] == result_of(tmp_path / "2")["dev"]


def test_predictions_and_metrics_are_those_of_the_saved_model(workshop, fine_tuned):
    task = workshop.tasks["sst"]
    split = TokenizedSplit(workshop.data, task, "dev")
    outputs = predict(load_model(fine_tuned / "model", [task]), task, split, 16)
    assert measure(task, split, outputs) == result_of(fine_tuned)["dev"]["sst"]
    rows = list(csv.DictReader(open(fine_tuned / "dev_predictions.tsv"), delimiter="\t"))
    assert [row["prediction"] for row in rows] == [task.labels[choice] for choice in task.kind.decide(outputs)]
    assert [float(row["p(1)"]) for row in rows] == pytest.approx(
        torch.from_numpy(outputs).softmax(1)[:, 1].tolist(), abs=1e-4
    )


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


def test_what_is_finished_is_not_done_again_and_other_options_are_refused(workshop, fine_tuned, door, refused):
    before = {path: path.stat().st_mtime_ns for path in fine_tuned.iterdir() if path.name != "masks"}
    again = (
        "train.py",
        *options(workshop),
        "--do_train",
        "--do_mask",
        "--output_dir",
        fine_tuned,
        "--sparsities",
        "0.2",
        "0.5",
        "0.75:0.34",
    )
    assert "before" in door(*again).out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "made with learning_rate 0.005, now 0.001" in refused(*again, "--learning_rate", 1e-3)
    assert "--criterion lucky: no such criterion, expected one of example" in refused(*again, "--criterion", "lucky")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_goes_from_scores_to_the_report(workshop, fine_tuned, tmp_path, door, criterion):
    for name in ("model", "config.json", "result.json", "metrics.jsonl", "dev_predictions.tsv"):
        (tmp_path / name).symlink_to(fine_tuned / name)
    scoring = (*options(workshop), "--do_mask", "--criterion", criterion, "--sparsities", "0.5")
    ended = door("train.py", *scoring, "--output_dir", tmp_path)
    assert ended.status == 0, ended.err
    masks = tmp_path / "masks" / ("" if criterion == DEFAULT_CRITERION else criterion) / "winning"
    assert f"4 masks, scores by {criterion}: " in ended.out and f"{masks}," in ended.out
    rewind(door, workshop, [masks], tmp_path / "rewind")
    ended = door(REPORT, tmp_path, "--output_dir", tmp_path / "report")
    assert ended.status == 0, ended.err
    assert f"Importance by the criterion `{criterion}`" in (tmp_path / "report/report.md").read_text()


def test_masks_come_from_a_model_fine_tuned_before(workshop, fine_tuned, tmp_path, door):
    shutil.copytree(fine_tuned / "model", tmp_path / "model")
    ended = door("train.py", *options(workshop), "--do_mask", "--output_dir", tmp_path, "--sparsities", "0.5")
    assert ended.status == 0, ended.err
    name = "masks/winning/heads_6_ffns_1.json"
    assert read_mask(tmp_path / name).tickets == read_mask(fine_tuned / name).tickets


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


def test_a_model_with_a_ticket_is_not_scored(workshop, fine_tuned, tmp_path, door, refused):
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    rewind(door, workshop, masks, tmp_path, "--save_model", *QUICK)
    (run,) = tmp_path.glob("winning/*/seed_*")
    (tmp_path / "model").symlink_to(run / "model")
    told = refused("train.py", *options(workshop), *QUICK, "--do_mask", "--output_dir", tmp_path)
    assert "model: a model with a winning ticket, expected the dense model of train.py to score" in told


def test_held_out_rows_are_evaluated_and_not_trained_on(workshop, tmp_path, door, monkeypatch):
    trained = []
    whole = TokenizedSplit.batch
    monkeypatch.setattr(
        TokenizedSplit,
        "batch",
        lambda self, rows, *more: (
            torch.is_grad_enabled() and trained.append((self.folder.name, *rows.tolist())),
            whole(self, rows, *more),
        )[1],
    )
    for seed in (1, 2):
        ended = door(
            "train.py",
            *options(workshop, "rte", "--epochs", 1),
            "--do_train",
            "--holdout",
            0.25,
            "--train_fraction",
            0.5,
            "--seed",
            seed,
            "--output_dir",
            tmp_path / str(seed),
        )
        assert ended.status == 0, ended.err
    _, out = split_rows(240, 0.25)
    rows = {row for folder, *rows in trained for row in rows}
    assert {folder for folder, *_ in trained} == {"rte_train"} and len(rows) > 90 and not rows & set(out.tolist())
    result = result_of(tmp_path / "2")
    assert result["tasks"]["rte"]["training_rows"] == 90 and result["tasks"]["rte"]["held_out_rows"] == 60
    held_out = TokenizedSplit(workshop.data, workshop.tasks["rte"], "train").part(out)
    model = load_model(tmp_path / "2/model", [workshop.tasks["rte"]])
    assert (
        measure(
            workshop.tasks["rte"],
            held_out,
            predict(model, workshop.tasks["rte"], held_out, 7),
        )
        == result["held_out"]["rte"]
    )


@pytest.mark.parametrize("task, metric", [("rte", "accuracy"), ("stsb", "pearson"), ("mnli", "accuracy")])
def test_pairs_regression_and_two_dev_sets(workshop, tmp_path, door, task, metric):
    ended = door("train.py", *options(workshop, task, "--epochs", 1), "--do_train", "--output_dir", tmp_path)
    assert ended.status == 0, ended.err
    dev = result_of(tmp_path)["dev"]
    assert set(dev) == set(workshop.tasks[task].dev_sets) and all(-1 <= values[metric] <= 1 for values in dev.values())
    assert len(list(tmp_path.glob("dev_predictions*.tsv"))) == len(dev)


def test_bad_calls_are_one_line(workshop, tmp_path, refused):
    train = ("train.py", "--do_train", "--output_dir", tmp_path / "out")
    assert "nothing to do" in refused("train.py", "--output_dir", tmp_path, *options(workshop))
    assert "no task 'rtee', expected one of: cola" in refused(*train, *options(workshop, "rtee"))
    assert "--epochs: '0', expected a whole number from 1" in refused(*train, *options(workshop), "--epochs", 0)
    assert "--learning_rate: '-1'" in refused(*train, *options(workshop), "--learning_rate=-1")
    assert "--train_datasets" in refused(*train)
    assert "no dev set 'mnli' of mnli" in refused(*train, *options(workshop, "mnli", "--test_datasets", "mnli"))
    assert "qnli_train: no such tokenized split" in refused(*train, *options(workshop, "qnli"))
    assert "unrecognized arguments: --epoch" in refused(*train, *options(workshop), "--epoch", 3)
    if not torch.cuda.is_available():
        assert "no CUDA device is visible" in refused(*train, *options(workshop), "--device", "cuda")
    assert "--sparsities: '1.5'" in refused(*train, *options(workshop), "--sparsities", "0.5", "1.5")
    assert "--train_datasets: ','" in refused(*train, *options(workshop, ","))
    assert "--seed: '99999999999999999999'" in refused(*train, *options(workshop), "--seed", 99999999999999999999)
    assert "--learning_rate: 'inf'" in refused(*train, *options(workshop), "--learning_rate", "inf")
    assert not (tmp_path / "out").exists()


# ---- checkpoints ----


def test_checkpoints_that_do_not_fit_are_refused(workshop, fine_tuned, tmp_path, refused):
    def train(encoder):
        return refused(
            "train.py", *options(workshop), "--init_checkpoint", encoder, "--do_train", "--output_dir", tmp_path / "out"
        )

    weights = load_file(workshop.encoder / "model.safetensors")
    gone = {key: value for key, value in weights.items() if "layer.1.attention.self.key.weight" not in key}
    other = {
        key: value[:-8].clone() if "layer.1.attention.self.key.weight" in key else value
        for key, value in weights.items()
    }
    for name, state, complaint in (
        ("gone", gone, "lacks 1 weights"),
        ("other", other, "has another shape for 1 weights"),
    ):
        folder = tmp_path / name
        shutil.copytree(workshop.encoder, folder)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        assert complaint in train(folder) and "layer.1.attention.self.key.weight" in train(folder)
    config = json.loads((workshop.encoder / "config.json").read_text())
    for change, complaint in (
        ({"num_hidden_layers": 2}, "has, beyond its config.json, 16 weights"),
        ({"hidden_size": "32"}, "'hidden_size'"),
        ({"vocab_size": 9}, "shape"),
        (
            {"model_type": "distilbert"},
            "type 'distilbert', expected one of: bert, roberta, xlm-roberta, electra, mpnet",
        ),
    ):
        shutil.copytree(workshop.encoder, tmp_path / "changed", dirs_exist_ok=True)
        (tmp_path / "changed/config.json").write_text(json.dumps({**config, **change}))
        assert complaint in train(tmp_path / "changed")
    shutil.copytree(workshop.encoder, tmp_path / "changed", dirs_exist_ok=True)
    (tmp_path / "changed/config.json").write_text(json.dumps({**config, "model_type": "roberta"}))
    assert "model_type 'roberta' with architectures BertModel, expected one family" in train(tmp_path / "changed")
    roberta = {**config, "model_type": "roberta", "architectures": ["RobertaModel"], "pad_token_id": 1}
    (tmp_path / "changed/config.json").write_text(json.dumps(roberta))
    assert "pad_token_id 1, expected 0, the padding token of its tokenizer" in train(tmp_path / "changed")
    (tmp_path / "changed/config.json").write_text(json.dumps(config))
    name = "encoder.layer.1.attention.self.key.weight"
    for value, complaint in (
        ((100 * weights[name]).to(torch.int8), f"has integers for 1 weights of the encoder ({name}"),
        (weights[name] / 0, f"has NaN or infinity in 1 weights of the encoder ({name}"),
    ):
        save_file({**weights, name: value}, tmp_path / "changed/model.safetensors", metadata={"format": "pt"})
        assert complaint in train(tmp_path / "changed")
    for file in ("tokenizer.json", "vocab.txt"):
        (tmp_path / "changed" / file).unlink()
    assert "no tokenizer.json, vocab.txt, vocab.json or sentencepiece.bpe.model" in train(tmp_path / "changed")
    (tmp_path / "gone" / "model.safetensors").write_bytes(b"cut short")
    assert "gone" in train(tmp_path / "gone")
    assert "nowhere: no such folder" in train(tmp_path / "nowhere")
    assert "no-such-encoder: " in train("no-such-encoder")
    assert not (tmp_path / "out").exists()


def test_a_pickle_is_refused_with_the_way_to_convert_it(workshop, tmp_path, refused):
    shutil.copytree(workshop.encoder, tmp_path / "encoder")
    (tmp_path / "encoder/model.safetensors").rename(tmp_path / "encoder/pytorch_model.bin")
    call = ("train.py", *options(workshop), "--do_train", "--output_dir", tmp_path / "out")
    told = refused(*call, "--init_checkpoint", tmp_path / "encoder")
    assert "has pytorch_model.bin, a pickle" in told and "docs/encoders.md says how to convert it" in told


def test_a_saved_model_carries_its_ticket(workshop, fine_tuned, tmp_path, door):
    mask = fine_tuned / "masks/winning/heads_6_ffns_1.json"
    rewind(door, workshop, [mask], tmp_path, "--save_model", *QUICK)
    run, task = tmp_path / "winning/heads_6_ffns_1/seed_2018", workshop.tasks["sst"]
    model = load_model(run / "model", [task])
    result = result_of(run)
    dense = count_parameters(load_encoder(workshop.encoder))
    assert count_parameters(model.encoder) / dense == pytest.approx(
        result["tasks"]["sst"]["remaining_weights"]["counted"], abs=1e-6
    )
    split = TokenizedSplit(workshop.data, task, "dev")
    assert measure(task, split, predict(model, task, split, 64)) == result["dev"]["sst"]
    (run / "model/SHA256SUMS").unlink()
    shutil.copy(fine_tuned / "model/mask.json", run / "model/mask.json")  # the dense one's
    with pytest.raises(UserError, match="do not fit together"):
        load_model(run / "model", [task])
    with pytest.raises(UserError, match="has another shape|lacks"):  # a pruned encoder is no pre-trained one
        load_encoder(run / "model")

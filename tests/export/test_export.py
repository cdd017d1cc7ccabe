"""Every family through all commands, and each export against the run that it was made from."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import toy
from calls import EACH_FAMILY, QUICK, files_up_to, options, result_of, rewind
from safetensors.torch import load_file

from data_utils.errors import RunFailed
from data_utils.files import find
from data_utils.tsv import Row
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.export.classifier import classifier_of, load_classifier
from mt_dnn.export.formats import export
from mt_dnn.export.saved_model import find_saved_model
from mt_dnn.export.zeroed import zeroed_classifier
from mt_dnn.model import count_parameters
from mt_dnn.tickets.masks import Mask, read_mask, write_mask
from mt_dnn.tickets.ticket import DENSE, Ticket, removed_parameters

STOCK = """
import json, sys, torch, transformers
found = {}
for folder in sys.argv[2:]:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = model.eval()(**tokenizer(json.loads(sys.argv[1]), padding=True, return_tensors="pt")).logits
    found[folder] = {"logits": logits.tolist(), "labels": model.config.id2label, "class": type(model).__name__}
    found[folder]["kind"] = model.config.problem_type
assert not any(name.startswith(("mt_dnn", "data_utils")) for name in sys.modules)
print(json.dumps(found))
"""


def by_stock_transformers(folder, *exports):
    """What a process that knows none of our code gets from these exports."""
    ended = subprocess.run(
        [sys.executable, "-c", STOCK, json.dumps(toy.SENTENCES), *map(str, exports)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("family", EACH_FAMILY)
def test_zeroed_exports_are_checkpoints_for_plain_transformers(family_run, family, tmp_path, exported):
    run, zeroed = family_run(family), tmp_path / "zeroed"
    table = exported(run, "zeroed", "--output", zeroed)
    assert (zeroed / "export.md").read_text() in table
    stock = by_stock_transformers(tmp_path, zeroed)[str(zeroed)]
    expected = load_classifier(run).outputs(toy.ROWS)
    np.testing.assert_allclose(stock["logits"], expected, rtol=0, atol=1e-5)
    assert np.ptp(expected[:, 0]) > 1e-4  # rows differ
    assert (
        stock["labels"] == {"0": "0", "1": "1"}
        and stock["kind"] == "single_label_classification"
        and "ForSequenceClassification" in stock["class"]
        and json.loads((zeroed / "config.json").read_text())["architectures"] == [stock["class"]]
    )
    np.testing.assert_allclose(load_classifier(zeroed).outputs(toy.ROWS), expected, rtol=0, atol=1e-5)
    longest = json.loads((zeroed / "tasks.json").read_text())["tasks"]["sst"]["max_seq_len"]
    assert json.loads((zeroed / "tokenizer_config.json").read_text())["model_max_length"] == longest


@pytest.mark.parametrize("family", EACH_FAMILY)
def test_zeroed_exports_have_the_closed_units_at_zero_and_no_others(family_run, family, tmp_path, exported):
    run = family_run(family)
    exported(run, "zeroed", "--output", tmp_path / "zeroed")
    weights, names = load_file(tmp_path / "zeroed/model.safetensors"), FAMILIES[family]
    prefix = next(name for name in weights if ".layer.0." in name).split("encoder.layer")[0]
    ticket = read_mask(run / "model/mask.json").tickets["sst"]
    assert ticket.counts == (6, 1)
    for layer in range(3):
        value, output = (
            weights[f"{prefix}encoder.layer.{layer}.{name}.weight"] for name in (names.value, names.output)
        )
        for head in range(4):
            units = slice(8 * head, 8 * head + 8)
            closed = (layer, head) in ticket.heads
            assert not value[units].any() == closed and not output[:, units].any() == closed, (layer, head)
        assert not weights[f"{prefix}encoder.layer.{layer}.output.dense.weight"].any() == (layer in ticket.ffns)


@pytest.mark.parametrize("family", EACH_FAMILY)
def test_compact_exports_are_small_and_give_the_same_outputs(family_run, family, tmp_path, exported):
    run = family_run(family)
    exported(run, "compact", "--output", tmp_path / "compact")
    compact, original = load_classifier(tmp_path / "compact"), load_classifier(run)
    np.testing.assert_array_equal(compact.outputs(toy.ROWS), original.outputs(toy.ROWS))
    mask = read_mask(tmp_path / "compact/mask.json")
    removed = removed_parameters(mask.tickets["sst"].counts, mask.shape, biases=True)
    assert count_parameters(compact.model.encoder) == mask.shape.parameters - removed
    labels = compact(toy.SENTENCES)
    assert len(labels) == len(toy.SENTENCES)
    assert all(label in "01" and 0.5 <= probability <= 1 for label, probability in labels)


def test_the_table_says_what_is_there(family_run, tmp_path, exported):
    table = exported(family_run("bert"), "compact", "--output", tmp_path / "out")
    cells = {
        line.split(" | ")[0].strip("| "): [cell.strip(" |") for cell in line.split(" | ")[1:]]
        for line in table.splitlines()
        if line.startswith("| ")
    }
    assert cells["model"][:2] == ["parameters", "MB"] and list(cells) == ["model", "---", "zeroed", "compact"]
    compact = count_parameters(load_classifier(tmp_path / "out").model)
    mask = read_mask(tmp_path / "out/mask.json")
    assert (
        cells["compact"][0] == f"{compact:,}"
        and cells["zeroed"][0]
        == f"{compact + removed_parameters(mask.tickets['sst'].counts, mask.shape, biases=True):,}"
    )
    assert all(float(cell) >= 0 for row in ("zeroed", "compact") for cell in cells[row][2:])  # milliseconds


@pytest.mark.slow
def test_token_types_that_an_encoder_has_no_use_for_are_no_input_of_its_exports(workshop, tmp_path, cli, exported):
    encoder = toy.save_encoder(tmp_path / "tiny-bert", types=1)
    its_own = SimpleNamespace(data=workshop.data, encoder=encoder)
    assert cli("train.py", *options(its_own, "rte", *QUICK), "--do_train", "--output_dir", tmp_path / "rte").status == 0
    exported(tmp_path / "rte", "zeroed")
    pairs = [Row((first, second), None) for first, second in zip(toy.SENTENCES, toy.SENTENCES[1:])]
    np.testing.assert_allclose(
        load_classifier(tmp_path / "rte/export/zeroed").outputs(pairs),
        load_classifier(tmp_path / "rte").outputs(pairs),
        rtol=0,
        atol=1e-5,
    )
    assert by_stock_transformers(tmp_path, tmp_path / "rte/export/zeroed")


@pytest.mark.slow
def test_a_run_of_several_tasks_exports_a_model_for_each_with_its_ticket_taken_out(
    workshop, fine_tuned, tmp_path, cli, exported, refused
):
    tickets = {
        "sst": Ticket(frozenset({(0, 1), (1, 0), (1, 2)}), frozenset({2})),
        "rte": Ticket(frozenset({(0, 0)}), frozenset({0})),
        "stsb": DENSE,
    }
    write_mask(
        tmp_path / "shared.json",
        Mask("winning", read_mask(fine_tuned / "masks/dense/heads_0_ffns_0.json").model, tickets, {}),
    )
    rewind(cli, workshop, [tmp_path / "shared.json"], tmp_path / "out", "--save_model", *QUICK, task="sst,rte,stsb")
    run = tmp_path / "out/winning/shared/seed_2018"
    pairs = [Row((first, second), None) for first, second in zip(toy.SENTENCES, toy.SENTENCES[1:])]
    for form in ("zeroed", "compact"):
        exported(run, form)
        for name, ticket in tickets.items():
            rows, own = toy.ROWS if name == "sst" else pairs, load_classifier(run / "export" / form / name)
            np.testing.assert_allclose(own.outputs(rows), load_classifier(run, name).outputs(rows), rtol=0, atol=1e-5)
            mask = read_mask(run / "export" / form / name / "mask.json")
            assert mask.tickets == {name: ticket}
            if form == "compact":
                assert count_parameters(own.model.encoder) == mask.shape.parameters - removed_parameters(
                    ticket.counts, mask.shape, biases=True
                )
    stock = by_stock_transformers(tmp_path, run / "export/zeroed/stsb")[str(run / "export/zeroed/stsb")]
    assert stock["kind"] == "regression" and stock["labels"] == {"0": "value"}
    assert "several tasks, expected --task to be one of: sst, rte, stsb" in refused(
        "mt_dnn/predict.py", run, "--input", workshop.raw / "SST-2/dev.tsv"
    )
    assert "no task 'mnli'" in refused("mt_dnn/predict.py", run, "--task", "mnli")


def test_what_can_not_be_exported_is_one_line_and_leaves_nothing(
    family_run, workshop, fine_tuned, tmp_path, cli, exported, refused, monkeypatch
):
    assert "no model with a tasks.json" in refused("mt_dnn/export/__main__.py", tmp_path)
    rewind(cli, workshop, [fine_tuned / "masks/winning/heads_6_ffns_1.json"], tmp_path / "out", *QUICK)
    run = tmp_path / "out/winning/heads_6_ffns_1/seed_2018"
    assert result_of(
        run
    ) and "a run without a model, expected a run of train.py, or of rewind.py --save_model" in refused(
        "mt_dnn/export/__main__.py", run
    )
    exported(family_run("bert"), "zeroed", "--output", tmp_path / "zeroed")
    assert "a zeroed export, expected the folder of a run" in refused(
        "mt_dnn/export/__main__.py", tmp_path / "zeroed", "--output", tmp_path / "new"
    )

    assert "not the folder of a run, expected --output" in refused(
        "mt_dnn/export/__main__.py", tmp_path / "zeroed", "--format", "zeroed"
    )
    before = sorted(find(family_run("bert"), "*"))
    for place in (family_run("bert"), family_run("bert") / "model", tmp_path):
        assert "there is something else already, expected a new or an empty folder" in refused(
            "mt_dnn/export/__main__.py", family_run("bert"), "--output", place
        )
    (tmp_path / "compact").mkdir()  # an empty folder is filled
    exported(family_run("bert"), "compact", "--output", tmp_path / "compact")
    assert "there is something else already" in refused(
        "mt_dnn/export/__main__.py", tmp_path / "compact", "--output", tmp_path / "compact"
    )
    assert sorted(find(family_run("bert"), "*")) == before and load_classifier(tmp_path / "compact")(toy.SENTENCES)
    exported(tmp_path / "compact", "zeroed", "--output", tmp_path / "zeroed")  # an earlier export is replaced

    def faulty(saved, model, task, ticket):
        made = zeroed_classifier(saved, model, task, ticket)
        made.classifier.bias.data += 0.01
        return made

    monkeypatch.setattr("mt_dnn.export.formats.zeroed_classifier", faulty)
    with pytest.raises(RunFailed, match="logits differ by 1.0e-02"):
        export(find_saved_model(family_run("bert")), "sst", "zeroed", tmp_path / "faulty")
    assert not find(tmp_path / "faulty", "*")


def test_large_outputs_may_differ_by_rounding_of_their_size(family_run, tmp_path, monkeypatch):
    def large(*arguments):
        made = classifier_of(*arguments)
        (head,) = made.model.task_heads.values()
        head.weight.data *= 1e6
        return made

    def rounded(saved, model, task, ticket):
        made = zeroed_classifier(saved, model, task, ticket)
        made.classifier.bias.data += 0.01
        return made

    monkeypatch.setattr("mt_dnn.export.formats.classifier_of", large)
    monkeypatch.setattr("mt_dnn.export.formats.zeroed_classifier", rounded)
    monkeypatch.setattr("mt_dnn.export.export_table.TIMING_SECONDS", 0.01)
    table = export(find_saved_model(family_run("bert")), "sst", "zeroed", tmp_path / "large")
    assert "of the largest logit" in table


@pytest.mark.slow
def test_an_export_with_nan_fails_its_comparison(family_run, tmp_path, monkeypatch):
    def faulty(saved, model, task, ticket):
        made = zeroed_classifier(saved, model, task, ticket)
        made.classifier.bias.data[1] = float("nan")
        return made

    monkeypatch.setattr("mt_dnn.export.formats.zeroed_classifier", faulty)
    monkeypatch.setattr("mt_dnn.export.zeroed.refuse_nonfinite_weights", lambda *arguments: None)
    with pytest.raises(RunFailed, match="logits differ by nan"):
        export(find_saved_model(family_run("bert")), "sst", "zeroed", tmp_path / "faulty")
    assert not find(tmp_path / "faulty", "*")


@pytest.mark.parametrize("file_format", ["zeroed", "compact", "onnx"])
def test_a_full_disk_is_one_line_and_leaves_no_export(family_run, tmp_path, refused, file_format):
    if file_format == "onnx":
        pytest.importorskip("onnx"), pytest.importorskip("onnxscript"), pytest.importorskip("onnxruntime")
    run = family_run("bert")
    with files_up_to(2000):  # bytes in a file
        line = refused("mt_dnn/export/__main__.py", run, "--format", file_format, "--output", tmp_path / "export")
    assert "too large" in line.lower() and not find(tmp_path, "*")


def test_a_full_memory_is_one_line_and_leaves_no_export(family_run, tmp_path, cli, monkeypatch):
    def full(*arguments):
        raise RuntimeError("could not create a primitive")  # oneDNN

    monkeypatch.setattr("mt_dnn.export.formats.zeroed_classifier", full)
    ended = cli("mt_dnn/export/__main__.py", family_run("bert"), "--output", tmp_path / "zeroed")
    assert ended.status == 1 and len(ended.err.splitlines()) == 1 and "the memory is full; end other" in ended.err
    assert not find(tmp_path, "*")

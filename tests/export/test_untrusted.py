"""Files from elsewhere: none of their code is run, and one that is damaged or does not belong gets one line."""

import json
import pickle
import shutil

import pytest
from calls import options
from safetensors.torch import load_file, save_file

from mt_dnn.export.classifier import load_classifier

TEXT = b"the film was lovely\n"


@pytest.fixture
def trap(tmp_path):
    """Python code, and a pickle, that write a file when they are run."""
    sprung = tmp_path / "sprung"

    class Pickled:
        def __reduce__(self):
            return open, (str(sprung), "w")

    classes = "BertConfig as Config, BertModel as Model, BertTokenizerFast as Tokenizer"
    code = f"open({str(sprung)!r}, 'w')\nfrom transformers import {classes}\n"
    return sprung, code, pickle.dumps(Pickled())


def test_no_code_of_a_checkpoint_is_run(workshop, tmp_path, refused, trap, monkeypatch):
    sprung, code, pickled = trap
    monkeypatch.setattr("builtins.input", lambda *text: "y")  # nor does it ask whether to

    def copied(name):
        return shutil.copytree(workshop.encoder, tmp_path / name)

    def train(folder):
        return refused(
            "train.py", *options(workshop), "--init_checkpoint", folder, "--do_train", "--output_dir", tmp_path / "out"
        )

    config = json.loads((workshop.encoder / "config.json").read_text())
    folder = copied("custom")
    (folder / "trap.py").write_text(code)
    (folder / "config.json").write_text(
        json.dumps(
            {**config, "model_type": "custom", "auto_map": {"AutoConfig": "trap.Config", "AutoModel": "trap.Model"}}
        )
    )
    assert "custom: " in train(folder)
    folder = copied("tokenizer")
    (folder / "trap.py").write_text(code)
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "Tokenizer", "auto_map": {"AutoTokenizer": ["trap.Tokenizer", "trap.Tokenizer"]}}
        )
    )
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "custom"}))
    assert "tokenizer: " in train(folder)
    folder = copied("pickled")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickled)
    assert "model.safetensors" in train(folder)
    folder = copied("disguised")
    (folder / "model.safetensors").write_bytes(pickled)
    assert "disguised: " in train(folder)
    assert not sprung.exists() and not (tmp_path / "out").exists()


def larger(tokenizer):
    """A tokenizer.json with more tokens."""
    content = json.loads(tokenizer.read_text())
    content["model"]["vocab"] |= {f"more{i}": 1000 + i for i in range(500)}
    return json.dumps(content).encode()


EACH_FORMAT = ["run", "zeroed", "compact", pytest.param("onnx", marks=pytest.mark.slow)]


@pytest.fixture
def saved(family_run, tmp_path, exported):
    """saved("run" or a format): the folder of a run's model, or of an export of it."""

    def call(form):
        if form == "onnx":
            pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
        run = family_run("mpnet")
        if form == "run":
            return run / "model"
        exported(run, form, "--output", tmp_path / "saved")
        return tmp_path / "saved"

    return call


@pytest.mark.parametrize("form", EACH_FORMAT)
def test_a_flipped_bit_in_any_file_is_noticed(saved, form, tmp_path, refused):
    (tmp_path / "in.tsv").write_bytes(TEXT)
    whole = saved(form)
    files = [line.split()[1] for line in (whole / "SHA256SUMS").read_text().splitlines()]
    assert set(files) == {path.name for path in whole.iterdir()} - {"SHA256SUMS"} and len(files) >= 5
    for name in files:
        damaged = tmp_path / "damaged"
        shutil.copytree(whole, damaged, dirs_exist_ok=True)
        content = bytearray((whole / name).read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / name).write_bytes(content)
        line = refused("mt_dnn/predict.py", damaged, "--input", tmp_path / "in.tsv")
        # a file that does not even read has its own line
        assert f"{name}: damaged or changed" in line or name in ("tasks.json", "mask.json") and name in line, line
    (damaged / name).unlink()
    assert f"{name}: no such file" in refused("mt_dnn/predict.py", damaged, "--input", tmp_path / "in.tsv")


@pytest.mark.parametrize("form", ["run", "zeroed", "compact"])
def test_a_model_saved_before_there_were_fingerprints_loads(saved, form, tmp_path):
    whole = saved(form)
    shutil.copytree(whole, tmp_path / "older")
    (tmp_path / "older/SHA256SUMS").unlink()
    assert load_classifier(tmp_path / "older")(["a day"]) == load_classifier(whole)(["a day"])


@pytest.mark.parametrize("form", ["run", "zeroed", "compact"])
def test_weights_that_are_no_numbers_are_one_line_to_predictions_and_exports(saved, form, tmp_path, refused):
    whole, folder = saved(form), tmp_path / "nan"
    shutil.copytree(whole, folder)
    (folder / "SHA256SUMS").unlink()
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (tmp_path / "in.tsv").write_bytes(TEXT)
    expected = f"model.safetensors: {name} has NaN or infinity"
    assert expected in refused("mt_dnn/predict.py", folder, "--input", tmp_path / "in.tsv")
    if form != "zeroed":
        assert expected in refused("mt_dnn/export/__main__.py", folder, "--output", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_outputs_that_are_no_numbers_are_one_line(saved, tmp_path, refused):
    folder = tmp_path / "overflow"
    shutil.copytree(saved("run"), folder)
    (folder / "SHA256SUMS").unlink()
    weights = load_file(folder / "model.safetensors")
    weights["task_heads.task_sst.weight"].fill_(3e38)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (tmp_path / "in.tsv").write_bytes(TEXT)
    line = refused("mt_dnn/predict.py", folder, "--input", tmp_path / "in.tsv", "--output", tmp_path / "out.tsv")
    assert "the output for row 0 is [" in line and "expected numbers" in line and not (tmp_path / "out.tsv").exists()


@pytest.mark.parametrize("form", EACH_FORMAT)
def test_every_file_that_is_cut_short_is_noticed_without_fingerprints_too(saved, form, tmp_path, refused):
    whole = tmp_path / "whole"
    shutil.copytree(saved(form), whole)
    (whole / "SHA256SUMS").unlink()
    (tmp_path / "in.tsv").write_bytes(TEXT)
    read = {
        "model.safetensors",
        "config.json",
        "tasks.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "mask.json",
        "model.onnx",
    }
    read -= {"run": set(), "zeroed": {"mask.json"}, "compact": set(), "onnx": {"mask.json", "config.json"}}[form]
    files = sorted(file.name for file in whole.iterdir() if file.name in read)
    assert len(files) >= 4
    for name in files:
        for kept in (0.5, 0.97, 0):
            damaged = tmp_path / "damaged"
            shutil.copytree(whole, damaged, dirs_exist_ok=True)
            content = (whole / name).read_bytes()
            (damaged / name).write_bytes(content[: int(kept * len(content))])
            line = refused("mt_dnn/predict.py", damaged, "--input", tmp_path / "in.tsv")
            assert "damaged" in line and "--init_checkpoint" not in line, (name, kept, line)


def test_a_model_of_another_kind_in_the_same_place_is_noticed(family_run, tmp_path, exported, refused, trap):
    sprung, code, pickled = trap
    (tmp_path / "in.tsv").write_bytes(TEXT)
    exported(family_run("mpnet"), "zeroed", "--output", tmp_path / "zeroed")

    def complaint(folder, name, content):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / "SHA256SUMS").unlink()
        if isinstance(content, bytes):
            (copy / name).write_bytes(content)
        else:
            shutil.copy(content, copy / name)
        return refused("mt_dnn/predict.py", copy, "--input", tmp_path / "in.tsv")

    model = family_run("mpnet") / "model"
    tasks = json.loads((model / "tasks.json").read_text())
    weights = load_file(model / "model.safetensors")
    earlier = {name.replace("task_heads.task_sst", "head"): value for name, value in weights.items()}
    save_file(earlier, tmp_path / "earlier.safetensors", {"format": "pt"})
    assert "copy: a model of type 'gpt2', expected one of: bert, roberta" in complaint(
        model, "config.json", b'{"model_type": "gpt2"}'
    )
    for folder in (model, tmp_path / "zeroed"):
        assert "do not fit together" in complaint(
            folder, "model.safetensors", family_run("bert") / "model/model.safetensors"
        )
        assert "do not fit together" in complaint(folder, "model.safetensors", tmp_path / "earlier.safetensors")
        assert "copy" in complaint(folder, "config.json", family_run("bert") / "model/config.json")
        assert "format: 'newer', expected one of tickets, zeroed, onnx" in complaint(
            folder, "tasks.json", json.dumps({**tasks, "format": "newer"}).encode()
        )
        assert "tasks.sst.kind: 'tagging'" in complaint(
            folder,
            "tasks.json",
            json.dumps({**tasks, "tasks": {"sst": {**tasks["tasks"]["sst"], "kind": "tagging"}}}).encode(),
        )
        without = {key: value for key, value in tasks["tasks"]["sst"].items() if key != "max_seq_len"}
        assert "tasks.sst.max_seq_len: missing" in complaint(
            folder, "tasks.json", json.dumps({**tasks, "tasks": {"sst": without}}).encode()
        )
        assert "copy: " in complaint(folder, "model.safetensors", pickled)
    assert "do not fit together" in complaint(
        model, "mask.json", family_run("mpnet").parents[3] / "sst/masks/dense/heads_0_ffns_0.json"
    )
    assert "made for another model" in complaint(
        model, "mask.json", (model / "mask.json").read_bytes().replace(b'"heads": 4', b'"heads": 8')
    )
    for folder in (model, tmp_path / "zeroed"):
        long = json.loads((folder / "tasks.json").read_text())
        long["tasks"]["sst"]["max_seq_len"] = 500
        assert "expected at most the encoder's" in complaint(folder, "tasks.json", json.dumps(long).encode())
        assert "expected at most the encoder's" in complaint(folder, "tokenizer.json", larger(model / "tokenizer.json"))
    copy = tmp_path / "copied/model"
    shutil.copytree(model, copy)
    (copy / "SHA256SUMS").unlink()
    (copy / "tokenizer.json").write_bytes(larger(model / "tokenizer.json"))
    assert (
        "expected at most the encoder's" in refused("mt_dnn/export/__main__.py", tmp_path / "copied")
        and not (tmp_path / "copied/export").exists()
    )
    three = {**tasks["tasks"]["sst"], "labels": ["0", "1", "2"]}
    assert "do not fit together" in complaint(
        tmp_path / "zeroed", "tasks.json", json.dumps({**tasks, "format": "zeroed", "tasks": {"sst": three}}).encode()
    )
    assert not sprung.exists()

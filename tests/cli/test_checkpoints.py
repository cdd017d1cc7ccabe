"""Weights on the disk: what is loaded as an encoder, and what a trained model is saved with."""

import json
import shutil

import pytest
import torch
from calls import QUICK, options, result_of, rewind
from safetensors.torch import load_file, save_file

from data_utils.errors import UserError
from data_utils.tokenized import read_split
from mt_dnn.encoders.pretrained import load_encoder
from mt_dnn.model import count_parameters
from mt_dnn.model_files import load_model
from mt_dnn.training.evaluate import measure, predict


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


def test_names_of_the_hubs_old_checkpoints_are_understood(workshop, tmp_path):
    """bert-base-uncased on the hub has LayerNorm.gamma and .beta, heads of its pre-training, and position_ids."""
    shutil.copytree(workshop.encoder, tmp_path / "encoder")
    weights = load_file(workshop.encoder / "model.safetensors")
    old = {
        "bert." + key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for key, value in weights.items()
    }
    old |= {
        "cls.predictions.bias": torch.zeros(7),
        "cls.seq_relationship.weight": torch.zeros(2, 32),
        "bert.embeddings.position_ids": torch.arange(64)[None],
    }
    save_file(old, tmp_path / "encoder/model.safetensors", metadata={"format": "pt"})
    config = json.loads((workshop.encoder / "config.json").read_text())
    (tmp_path / "encoder/config.json").write_text(json.dumps({**config, "architectures": ["BertForMaskedLM"]}))
    loaded = load_encoder(tmp_path / "encoder").state_dict()
    assert loaded.keys() == weights.keys() and all(torch.equal(loaded[key], weights[key]) for key in weights)


def test_a_pickle_is_refused_with_the_way_to_convert_it(workshop, tmp_path, refused):
    shutil.copytree(workshop.encoder, tmp_path / "encoder")
    (tmp_path / "encoder/model.safetensors").rename(tmp_path / "encoder/pytorch_model.bin")
    call = ("train.py", *options(workshop), "--do_train", "--output_dir", tmp_path / "out")
    told = refused(*call, "--init_checkpoint", tmp_path / "encoder")
    assert "has pytorch_model.bin, a pickle" in told and "docs/encoders.md says how to convert it" in told


def test_a_saved_model_carries_its_ticket(workshop, fine_tuned, tmp_path, cli):
    mask = fine_tuned / "masks/winning/heads_6_ffns_1.json"
    rewind(cli, workshop, [mask], tmp_path, "--save_model", *QUICK)
    run, task = tmp_path / "winning/heads_6_ffns_1/seed_2018", workshop.tasks["sst"]
    model = load_model(run / "model", [task])
    result = result_of(run)
    dense = count_parameters(load_encoder(workshop.encoder))
    assert count_parameters(model.encoder) / dense == pytest.approx(
        result["tasks"]["sst"]["remaining_weights"]["counted"], abs=1e-6
    )
    head, ffn = 4 * 32 * 8, 2 * 32 * 48  # weights, without biases: what the formula counts
    assert result["tasks"]["sst"]["remaining_weights"]["by_formula"] == pytest.approx(
        1 - (6 * head + 1 * ffn) / dense, abs=1e-6
    )
    split = read_split(workshop.data, task, "dev")
    assert measure(task, split, predict(model, task, split, 64)) == result["dev"]["sst"]
    (run / "model/SHA256SUMS").unlink()
    shutil.copy(fine_tuned / "model/mask.json", run / "model/mask.json")  # the dense one's
    with pytest.raises(UserError, match="do not fit together"):
        load_model(run / "model", [task])
    with pytest.raises(UserError, match="has another shape|lacks"):  # a pruned encoder is no pre-trained one
        load_encoder(run / "model")

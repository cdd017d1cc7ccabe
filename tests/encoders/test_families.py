"""Checkpoints as the hub has them, saved by the library's pre-training classes.

They have weights that no encoder has, and they lack a pooler.
"""

import json

import pytest
import torch
import toy
import transformers
from in_memory import make_task

from data_utils.errors import UserError
from mt_dnn.encoders.families import FAMILIES, encoder_class, max_positions
from mt_dnn.encoders.pretrained import lacks_pooler, load_encoder
from mt_dnn.model import Model

CHECKPOINTS = [
    ("bert", "BertForPreTraining"),
    ("bert", "BertForMaskedLM"),
    ("roberta", "RobertaForMaskedLM"),
    ("xlm-roberta", "XLMRobertaForMaskedLM"),
    ("electra", "ElectraForPreTraining"),
    ("mpnet", "MPNetForMaskedLM"),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_weights_are_tied(family):
    encoder = toy.encoder(family)  # Bfloat16Copies and SharedTicket do not look for tied weights
    assert len(list(encoder.named_parameters(remove_duplicate=False))) == len(list(encoder.parameters()))


@pytest.mark.parametrize("family, made_by", CHECKPOINTS)
def test_the_encoder_is_taken_out_of_a_pre_training_checkpoint(tmp_path, family, made_by):
    model = getattr(transformers, made_by)(toy.config(family))
    model.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path)
    assert lacks_pooler(encoder) == (made_by != "BertForPreTraining")
    expected = model.base_model.state_dict()
    for name, value in encoder.state_dict().items():
        if name in expected:
            assert torch.equal(value, expected.pop(name)), name
        else:
            assert name.startswith("pooler.") and lacks_pooler(encoder)
    assert not expected


def test_a_pooler_that_was_not_pre_trained_is_drawn_from_the_seed_and_another_is_left_alone(tmp_path):
    def poolers(place, seeds):
        model = Model(load_encoder(place), [make_task()])
        for seed in seeds:
            model.draw_task_heads(seed)
            yield model.encoder.pooler.dense.weight.detach().clone()

    first, other, again = poolers(toy.save_encoder(tmp_path / "without", "roberta", pooler=False), (1, 2, 1))
    assert torch.equal(first, again) and not torch.equal(first, other) and 0.015 < float(first.std()) < 0.025
    one, two = poolers(toy.save_encoder(tmp_path / "with", "roberta"), (1, 2))
    assert torch.equal(one, two) and float(one.std()) > 0.05


def test_settings_of_how_an_encoder_is_called_in_its_config_change_nothing(tmp_path):
    place = toy.save_encoder(tmp_path / "tiny")
    task, batch = make_task(), {"input_ids": torch.tensor([[2, 7, 8, 9, 3]])}
    expected = Model(load_encoder(place), [task]).eval().encoder(**batch).pooler_output
    config = json.loads((place / "config.json").read_text())
    more = {"return_dict": False, "output_attentions": True, "output_hidden_states": True, "chunk_size_feed_forward": 4}
    (place / "config.json").write_text(json.dumps(config | more))
    model = Model(load_encoder(place), [task]).eval()
    assert torch.equal(model.encoder(**batch).pooler_output, expected)
    model.encoder.config.save_pretrained(tmp_path / "saved")


@pytest.mark.parametrize(
    "family, change, complaint",
    [
        ("bert", {"is_decoder": True}, "config.json: is_decoder is true, expected an encoder"),
        ("roberta", {"pad_token_id": None}, "config.json: pad_token_id is null, expected the padding token's id"),
        (
            "bert",
            {"model_type": "distilbert"},
            "a model of type 'distilbert', expected one of: bert, roberta, xlm-roberta, electra, mpnet",
        ),
    ],
)
def test_what_is_no_encoder_of_a_family_is_refused(tmp_path, family, change, complaint):
    folder = toy.save_encoder(tmp_path / "encoder", family)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UserError, match=f"{folder}: {complaint}"):
        load_encoder(folder)


def test_a_config_of_one_family_over_the_weights_of_another_is_refused(tmp_path):
    def refused(folder, model_type):
        config = json.loads((folder / "config.json").read_text())
        del config["architectures"]
        (folder / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
        with pytest.raises(UserError, match=f"{folder}: config.json: model_type '{model_type}'") as refusal:
            load_encoder(folder)
        return str(refusal.value)

    bert = toy.save_encoder(tmp_path / "bert")
    assert "pad_token_id 0, but the table of positions has numbers there" in refused(bert, "roberta")
    transformers.RobertaModel(toy.config("roberta")).save_pretrained(tmp_path / "roberta")
    assert "pad_token_id 1, but the table of positions is zero there" in refused(tmp_path / "roberta", "bert")


def test_positions_of_mpnet_start_behind_1_whatever_its_config_says():
    config = toy.config("mpnet")
    config.pad_token_id = 0
    assert max_positions(encoder_class(config)(config)) == 64


@pytest.mark.parametrize("family", FAMILIES)
def test_max_positions_is_the_longest_row_that_the_librarys_encoder_takes(family):
    encoder = toy.encoder(family)
    longest = max_positions(encoder)
    ids = torch.full((1, longest), 7)
    encoder(input_ids=ids)
    with pytest.raises((IndexError, RuntimeError)):
        encoder(input_ids=torch.cat([ids, ids[:, :1]], 1))

"""Names of the hub: what happens where it can't be reached."""

import os
import subprocess
import sys

import pytest
from calls import ROOT

from data_utils.errors import UserError
from data_utils.hub import load_tokenizer, weight_types
from mt_dnn.checksums import weights_fingerprint
from mt_dnn.encoders.pretrained import load_encoder


def test_the_folder_of_an_encoder_that_download_sh_fetched_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/encoders/my-bert").mkdir(parents=True)
    with pytest.raises(UserError, match="can't be reached; expected data/encoders/my-bert, where download.sh put it$"):
        load_tokenizer("my-bert")


def test_weights_in_several_files_are_those_in_one(workshop, tmp_path):
    whole, parts = workshop.encoder, tmp_path / "parts"
    load_encoder(whole).save_pretrained(parts, max_shard_size="20KB")
    assert len(list(parts.glob("model-*.safetensors"))) > 1
    assert weight_types(parts) == weight_types(whole)
    for name, weights in load_encoder(whole).state_dict().items():
        assert load_encoder(parts).state_dict()[name].equal(weights)
    before = weights_fingerprint(parts)
    last = max(parts.glob("model-*.safetensors"))
    last.write_bytes(last.read_bytes()[:-1] + b"\1")
    assert None not in (before, weights_fingerprint(whole)) and before != weights_fingerprint(parts)


@pytest.mark.slow
def test_a_hub_name_without_a_network_is_one_line_at_once(workshop, tmp_path):
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    environment = {**os.environ, **nowhere, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    command = ["prepro.py", "--raw_dir", workshop.raw, "--data_dir", tmp_path / "out", "--init_checkpoint", "tiny-bert"]
    ended = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1  # a retry would be another line
    assert "tiny-bert: no such folder, not fetched before, and http://127.0.0.1:9 can't be reached" in ended.stderr
    assert ended.stderr.endswith("in the hub's format; take another --init_checkpoint (ENCODER in the scripts)\n")

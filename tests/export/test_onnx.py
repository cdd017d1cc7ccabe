"""ONNX exports against the runs that they were made from."""

import numpy as np
import pytest
import torch
import toy
import toy_tasks

from data_utils.tasks import read_tasks
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.export.classifier import load_classifier
from mt_dnn.saved_tasks import SavedTasks


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_exports_give_the_outputs_of_torch_for_any_number_and_length_of_rows(
    family_run, family, tmp_path, exported
):
    pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
    table = exported(family_run(family), "onnx", "--output", tmp_path / "onnx")
    assert "| onnx |" in table
    original, onnx = load_classifier(family_run(family)), load_classifier(tmp_path / "onnx")
    np.testing.assert_allclose(onnx.outputs(toy.ROWS), original.outputs(toy.ROWS), rtol=0, atol=1e-5)
    generator = torch.Generator().manual_seed(0)
    for rows, length in ((1, 2), (1, 61), (5, 3), (33, 17)):
        ids = torch.randint(5, len(toy.VOCABULARY), (rows, length), generator=generator)
        mask = (torch.arange(length) < torch.randint(1, length + 1, (rows, 1), generator=generator)).long()
        batch = {
            "input_ids": ids.where(mask > 0, toy.PADDING[family]),
            "attention_mask": mask,
            "token_type_ids": torch.zeros_like(ids),
        }
        with torch.no_grad():
            torch.testing.assert_close(
                onnx.model(onnx.task, batch), original.model(original.task, batch), rtol=0, atol=1e-5
            )


@pytest.mark.slow
def test_weights_too_large_for_one_onnx_file_go_beside_it(family_run, tmp_path, exported, monkeypatch):
    pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
    monkeypatch.setattr("mt_dnn.export.onnx.ONE_FILE", 1000)
    exported(family_run("bert"), "onnx", "--output", tmp_path / "onnx")
    assert (tmp_path / "onnx/model.onnx.data").is_file()
    np.testing.assert_allclose(
        load_classifier(tmp_path / "onnx").outputs(toy.ROWS),
        load_classifier(family_run("bert")).outputs(toy.ROWS),
        rtol=0,
        atol=1e-5,
    )


def test_onnx_without_its_packages_is_one_line(family_run, tmp_path, refused, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "onnx, onnxscript, onnxruntime not installed" in refused(
        "mt_dnn/export/__main__.py", family_run("bert"), "--format", "onnx", "--output", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_an_onnx_export_in_bfloat16_is_one_line(tmp_path, refused):
    SavedTasks("onnx", {"sst": read_tasks(toy_tasks.TASK_DEF)["sst"]}, {"sst": 32}).write(tmp_path)
    assert "an ONNX export computes in float32" in refused("mt_dnn/predict.py", tmp_path, "--precision", "bfloat16")

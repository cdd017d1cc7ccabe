"""Dropout is on while a model trains, with the rates that flags and task ask for, and off while it is evaluated."""

import torch
from calls import QUICK, options
from torch.nn.modules.module import register_module_forward_hook

from mt_dnn.encoders import attention


def test_dropout_is_on_in_training_alone(workshop, tmp_path, cli, monkeypatch):
    modules, in_attention = set(), set()

    def note(module, *_):
        if isinstance(module, torch.nn.Dropout):
            modules.add((module.p, module.training))

    def drop(values, p, original=attention.drop):
        in_attention.add((p, torch.is_grad_enabled(), values.shape[1] == 1))
        return original(values, p)

    monkeypatch.setattr(attention, "drop", drop)
    hook = register_module_forward_hook(note)
    ended = cli(
        "train.py", *options(workshop), *QUICK, "--encoder_dropout", 0.3, "--do_train", "--output_dir", tmp_path
    )
    hook.remove()
    assert ended.status == 0, ended.err
    assert modules == {(0.3, True), (0.1, True), (0.3, False), (0.1, False)}  # 0.1: before the task's head
    assert in_attention == {(0.3, True, False), (0.3, True, True)}  # the last layer has one query, the first position

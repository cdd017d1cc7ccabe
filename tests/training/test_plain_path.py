"""What saves time changes nothing: whole trainings by both ways and by the library, every piece by what it replaces."""

import contextlib
import copy
import dataclasses
import functools
import math

import numpy as np
import pytest
import torch
import toy
import transformers
from in_memory import HEADS, LAYERS, make_split, make_task, train

from data_utils.batches import training_batches
from mt_dnn.encoders.dropout import _Dropout
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.encoders.vocabulary import used_tokens
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.model import Model, place_tickets
from mt_dnn.tickets.ticket import DENSE, Ticket
from mt_dnn.training import evaluate, trainer
from mt_dnn.training.bfloat16 import Bfloat16Copies
from mt_dnn.training.optim import OPTIMIZERS, decay_of, make_scheduler
from mt_dnn.training.task_data import TaskData


class WrittenOutAdamax(torch.optim.Optimizer):
    """Algorithm 2 of Kingma and Ba (2015), without decay, with 1e-6 added to the divisor."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                zeros = torch.zeros_like(parameter)
                state = self.state[parameter] or {"step": 0, "mean": zeros, "largest": zeros}
                state = {
                    "step": state["step"] + 1,
                    "mean": 0.9 * state["mean"] + 0.1 * parameter.grad,
                    "largest": torch.maximum(0.999 * state["largest"], parameter.grad.abs()),
                }
                rate = group["lr"] / (1 - 0.9 ** state["step"])
                parameter -= rate * state["mean"] / (state["largest"] + 1e-6)
                self.state[parameter] = state


def librarys_training(encoder, head, split, task, options, seed):
    """The library's own classifier, one padded batch at a time; the optimizer without decay, which is done by hand."""
    config = copy.deepcopy(encoder.config)
    config.num_labels, config.hidden_dropout_prob, config.attention_probs_dropout_prob, config.classifier_dropout = (
        task.n_outputs,
        0.0,
        0.0,
        0.0,
    )
    model = transformers.BertForSequenceClassification._from_config(config, attn_implementation="eager").double()
    model.bert.load_state_dict(encoder.state_dict())
    model.classifier.load_state_dict(head)
    if options.optimizer == "adamax":
        optimizer = WrittenOutAdamax(model.parameters(), {"lr": 0.0})
    else:
        optimizer = torch.optim.AdamW(model.parameters(), eps=1e-6, weight_decay=0.0, fused=False)
    updates, update, losses = options.epochs * math.ceil(len(split) / options.batch_size), 0, []
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for rows in training_batches(split.lengths, options.batch_size, seed, epoch):
            warm = int(options.warmup * updates)
            rate = options.learning_rate * (update / warm if update < warm else (updates - update) / (updates - warm))
            loss = model(**split.batch(rows, split.lengths[rows].max() + 3)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), options.global_grad_clipping)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if not (name.endswith(".bias") or "LayerNorm" in name):
                        parameter.mul_(1 - rate * options.weight_decay)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item() * len(rows)
            update += 1
        losses.append(total / len(split))
    return model, losses


def _decay(options, updates):
    schedule = make_scheduler(
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=options.learning_rate), updates, options.warmup
    )
    return decay_of(schedule, options, updates)


@pytest.fixture
def as_in_bfloat16(monkeypatch):
    """fine_tune(precision="bfloat16") goes the ways that it goes there, but computes in float64."""
    monkeypatch.setattr(trainer, "autocast", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(evaluate, "autocast", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(trainer, "Bfloat16Copies", functools.partial(Bfloat16Copies, dtype=torch.float64))


# name: (MachineOptions, precision)
WAYS = {
    "plain": (MachineOptions(plain=True), "float32"),
    "whole batches": (MachineOptions(tokens_at_once=10**6), "float32"),
    "parts": (MachineOptions(tokens_at_once=30), "float32"),
    "a row at a time": (MachineOptions(tokens_at_once=1), "float32"),
    "as in bfloat16": (MachineOptions(tokens_at_once=30), "bfloat16"),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_whole_training_gives_the_weights_of_the_librarys_classifier(tmp_path, as_in_bfloat16, optimizer, way):
    task, split = make_task(), make_split(50, seed=1)
    task = type(task)(**{**vars(task), "head_dropout": 0.0})
    encoder = toy.encoder(layers=LAYERS, heads=HEADS)
    options = OptimizationOptions(
        epochs=3,
        batch_size=8,
        optimizer=optimizer,
        learning_rate=1e-3,
        weight_decay=0.5,
        warmup=0.2,
        global_grad_clipping=0.8,
    )
    machine, precision = WAYS[way]
    model = Model(copy.deepcopy(encoder), [task], machine.plain).double()
    model.draw_task_heads(1)
    librarys, losses = librarys_training(
        encoder, copy.deepcopy(model.task_heads[f"task_{task.name}"].state_dict()), split, task, options, seed=5
    )
    dev = make_split(9, seed=3, first=5)  # with tokens that the training rows do not use
    data = TaskData(task, split, {"toy": dev})
    epochs, outputs = train(model, [data], options, machine, tmp_path / "run", precision)

    expected = librarys.bert.state_dict()
    assert expected.keys() == model.encoder.state_dict().keys()
    for name, weight in model.encoder.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-10, msg=name)
    table, start = model.encoder.embeddings.word_embeddings, encoder.embeddings.word_embeddings.weight
    assert type(table) is torch.nn.Embedding and not used_tokens([split], len(start))[5:12].any()
    decay = float((table.weight[5:12] / start[5:12]).detach().mean())  # of tokens without a gradient
    assert decay == pytest.approx(_decay(options, 21), rel=1e-9)
    assert [epoch["loss"] for epoch in epochs] == pytest.approx(losses, abs=1e-6)
    with torch.no_grad():
        logits = librarys.eval()(**dev.batch(np.arange(len(dev)))).logits
    np.testing.assert_allclose(outputs["toy"], logits.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("way", ["parts", "as in bfloat16"])
def test_tickets_sharing_gives_the_weights_of_the_plain_path(tmp_path, as_in_bfloat16, family, way):
    tickets = {"one": Ticket(frozenset({(0, 0), (1, 2), (2, 3)}), frozenset({1})), "two": DENSE}
    tasks = [dataclasses.replace(make_task(), name=name, head_dropout=0.0) for name in tickets]
    data = [
        TaskData(task, split, {task.name: split})
        for task, split in zip(tasks, (make_split(20, seed=1), make_split(30, seed=2)))
    ]
    options = OptimizationOptions(epochs=2, batch_size=8, learning_rate=1e-3, grad_accumulation_step=2)

    def trained(machine, precision):
        model = Model(toy.encoder(family, layers=LAYERS, heads=HEADS), tasks, machine.plain).double()
        model.draw_task_heads(1)
        _, outputs = train(place_tickets(model, tickets), data, options, machine, tmp_path / precision, precision)
        return model.state_dict(), outputs

    machine, precision = WAYS[way]
    (weights, outputs), (expected, plain_outputs) = trained(machine, precision), trained(*WAYS["plain"])
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-10, msg=name)
    for name in tickets:
        np.testing.assert_allclose(outputs[name], plain_outputs[name], rtol=0, atol=1e-6)


def test_the_plain_path_has_none_of_our_code_in_the_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(_Dropout, "forward", None)  # would be called by drop()
    encoder, task, seen = toy.encoder(layers=LAYERS, heads=HEADS, double=False), make_task(), []
    model, split = Model(encoder, [task], plain=True), make_split(20, seed=1)
    encoder.embeddings.register_forward_hook(lambda *_: seen.append(encoder.embeddings.word_embeddings))
    train(
        model,
        [TaskData(task, split, {"toy": split})],
        OptimizationOptions(epochs=1),
        MachineOptions(plain=True),
        tmp_path,
    )
    assert {type(table) for table in seen} == {torch.nn.Embedding}
    ours = [
        name for name, module in encoder.named_modules() if not type(module).__module__.startswith(("torch", "transfo"))
    ]
    assert ours == ["pooler.dense"]  # which computes in float32 in every precision


@pytest.mark.parametrize("batches_per_update", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_are_cast_once_per_update_and_the_tables_gradient_is_filled_with_zeros_once(
    tmp_path, monkeypatch, precision, batches_per_update
):
    nothing = {"dev": {}, "average_score": 0.0, "seconds_evaluating": 0.0}
    monkeypatch.setattr("mt_dnn.training.trainer.evaluate", lambda *_, **__: (nothing, {}))
    monkeypatch.setattr("mt_dnn.encoders.products.cpu_has_bfloat16", lambda: True)  # else every product has casts
    encoder, task, split = toy.encoder(layers=LAYERS, heads=HEADS, double=False), make_task(), make_split(16, seed=1)
    model = Model(encoder, [task])
    table = [int(used_tokens([split], len(toy.VOCABULARY)).sum()), encoder.config.hidden_size]
    ffn = [encoder.config.intermediate_size, encoder.config.hidden_size]
    with torch.profiler.profile(record_shapes=True) as profile:
        train(
            model,
            [TaskData(task, split, {})],
            OptimizationOptions(epochs=3, batch_size=8, optimizer="adamw", grad_accumulation_step=batches_per_update),
            MachineOptions(tokens_at_once=40),  # so that a batch has at least two parts
            tmp_path,
            precision,
        )

    def count(name, shape):
        return sum(event.name == name and event.input_shapes[0] == shape for event in profile.events())

    updates, parts = 6 // batches_per_update, sum(event.name == "aten::embedding" for event in profile.events()) // 3
    assert parts >= 2 * updates
    assert count("aten::zero_", table) + count("aten::fill_", table) == updates + 2  # two: the optimizer's state
    casts = updates + 6  # of a weight once per update, of its gradient once per batch
    assert count("aten::copy_", ffn) == (casts * LAYERS if precision == "bfloat16" else 0)

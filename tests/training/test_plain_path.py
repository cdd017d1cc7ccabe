"""What saves time changes nothing: whole trainings by both ways and by the library, every piece by what it replaces."""

import contextlib
import copy
import dataclasses
import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toy
import transformers
from in_memory import HEADS, LAYERS, make_rows, make_split, make_task

from data_utils.batches import training_batches
from mt_dnn.encoders.dropout import _Dropout
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.encoders.vocabulary import UsedRows, used_tokens
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model, place_tickets
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.ticket import DENSE, Ticket
from mt_dnn.training import evaluate, trainer
from mt_dnn.training.bfloat16 import Bfloat16Copies
from mt_dnn.training.checkpoint import Checkpoints
from mt_dnn.training.micro_batches import MicroBatches
from mt_dnn.training.optim import (
    OPTIMIZERS,
    OptimizerEntry,
    decay_of,
    make_optimizer,
    make_scheduler,
    spares_unused_rows,
)
from mt_dnn.training.task_data import TaskData
from mt_dnn.training.trainer import compute_gradients, fine_tune
from mt_dnn.training.updates import Update


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
        optimizer = torch.optim.Adamax(model.parameters(), betas=(0.9, 0.999), eps=1e-6)
    else:
        optimizer = make_optimizer(model, dataclasses.replace(options, weight_decay=0.0), plain=True)
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


def train(model, data, options, machine, folder, precision="float32"):
    return fine_tune(model, data, options, machine, precision, 5, RunFolder(folder))


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


@pytest.mark.parametrize("batches_per_update, expected", [(1, [{"one"}] * 3 + [{"two"}] * 4), (7, [{"one", "two"}])])
def test_an_update_names_the_tasks_of_its_batches(tmp_path, monkeypatch, batches_per_update, expected):
    """Model.updating() keeps the heads that all of these tasks close."""
    seen = []

    def updating(model, tasks, optimizer):
        seen.append(set(tasks))
        return contextlib.nullcontext()

    monkeypatch.setattr(Model, "updating", updating)
    tasks = [dataclasses.replace(make_task(), name=name) for name in ("one", "two")]
    data = [
        TaskData(task, split, {task.name: split})
        for task, split in zip(tasks, (make_split(20, seed=1), make_split(30, seed=2)))
    ]
    options = OptimizationOptions(epochs=1, batch_size=8, grad_accumulation_step=batches_per_update)
    model = Model(toy.encoder(layers=LAYERS, heads=HEADS), tasks).double()
    train(model, data, options, MachineOptions(), tmp_path)
    assert sorted(seen, key=sorted) == expected


def test_the_plain_path_has_none_of_our_code_in_encoder_and_optimizer(tmp_path, monkeypatch):
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
    monkeypatch.setattr("mt_dnn.training.trainer.evaluate", lambda *_: (nothing, {}))
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


def test_an_updates_gradient_is_that_of_the_mean_over_its_rows_also_where_batches_differ_in_size():
    kinds = ("classification", "regression")
    tasks = [dataclasses.replace(make_task(kind), name=kind, head_dropout=0.0) for kind in kinds]
    model = Model(toy.encoder(layers=LAYERS, heads=HEADS), tasks).double()
    model.draw_task_heads(1)
    one, two = (TaskData(task, make_rows(True, task.kind.name, n=n), {}) for task, n in zip(tasks, (9, 4)))
    update = Update([(one, np.arange(8)), (one, np.array([8])), (two, np.arange(4))])
    micro_batches = MicroBatches.for_model(model, "float32", tokens=30)
    losses = compute_gradients(update, Bfloat16Copies(model, enabled=False), micro_batches, "float32")
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    rows = torch.cat([loss_per_row(model, own.task, own.train.batch(at)) for own, at in update.batches])
    rows.mean().backward()
    assert len(rows) == 13 and float(sum(loss for _, loss in losses)) == pytest.approx(rows.mean().item())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch, optimizer, precision):
    task, split, saved, save = make_task(), make_split(30, seed=1), [], Checkpoints.save
    options = OptimizationOptions(epochs=3, batch_size=8, learning_rate=1e-3, optimizer=optimizer)
    machine = MachineOptions(log_per_updates=1, checkpoint_minutes=0)

    def trained(folder):
        model = Model(toy.encoder(layers=LAYERS, heads=HEADS, double=False), [task])
        model.draw_task_heads(1)
        torch.manual_seed(3)  # of dropout
        epochs, _ = train(model, [TaskData(task, split, {"toy": split})], options, machine, folder, precision)
        return model.state_dict(), [epoch["loss"] for epoch in epochs]

    def stop(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 6:  # of 12 updates: within an epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Checkpoints, "save", stop)
        trained(tmp_path / "stopped")
    (weights, losses), (whole, expected) = trained(tmp_path / "stopped"), trained(tmp_path / "whole")
    assert losses == expected and all(torch.equal(weights[name], whole[name]) for name in whole)


class Coupled(torch.optim.SGD):
    """Weight decay that goes into a momentum: a row without gradient does not just decay."""

    def __init__(self, groups, options):
        super().__init__(
            [{**group, "weight_decay": group["decay"]} for group in groups], lr=options.learning_rate, momentum=0.9
        )


def test_an_optimizer_that_moves_unused_rows_gets_the_whole_table(tmp_path, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "coupled", OptimizerEntry(Coupled, Coupled))
    assert spares_unused_rows("adamax") and spares_unused_rows("adamw") and not spares_unused_rows("coupled")
    task, split = dataclasses.replace(make_task(), head_dropout=0.0), make_split(30, seed=1)
    options = OptimizationOptions(epochs=2, batch_size=8, optimizer="coupled", learning_rate=0.1, weight_decay=0.5)
    weights = []
    for machine in (MachineOptions(), MachineOptions(plain=True)):
        model = Model(toy.encoder(layers=LAYERS, heads=HEADS), [task], machine.plain).double()
        model.draw_task_heads(1)
        data = TaskData(task, split, {"toy": split})
        train(model, [data], options, machine, tmp_path / str(machine.plain))
        weights.append(model.encoder.embeddings.word_embeddings.weight)
    torch.testing.assert_close(*weights, rtol=0, atol=1e-10)


def _decay(options, updates):
    schedule = make_scheduler(
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=options.learning_rate), updates, options.warmup
    )
    return decay_of(schedule, options, updates)


@pytest.mark.parametrize("optimizer", ["adamax", "adamw"])
def test_training_the_used_rows_gives_the_table_of_training_them_all(optimizer):
    torch.manual_seed(0)
    whole = torch.nn.Embedding(200, 16, padding_idx=3)
    used = np.zeros(200, bool)
    used[np.random.default_rng(0).choice(200, 90, replace=False)] = used[3] = True
    encoder = SimpleNamespace(embeddings=SimpleNamespace(word_embeddings=copy.deepcopy(whole)))
    some = UsedRows.put_in(encoder, used)
    options = OptimizationOptions(optimizer=optimizer, learning_rate=0.1, weight_decay=0.3)
    tables = {table: make_optimizer(torch.nn.ModuleDict({"table": table}), options) for table in (whole, some)}
    schedules = [make_scheduler(optimizer, 30, 0.1) for optimizer in tables.values()]
    target = torch.randn(200, 16)
    for _ in range(30):
        ids = torch.from_numpy(np.flatnonzero(used))[torch.randint(0, int(used.sum()), (4, 5))]
        for (table, its_optimizer), schedule in zip(tables.items(), schedules):
            ((table(ids) - target[ids]) ** 2).sum().backward()
            if table is some:
                some.make_gradient_dense()
            its_optimizer.step()
            its_optimizer.zero_grad()
            schedule.step()
    assert some.weight.shape == (int(used.sum()), 16)
    some.take_out(encoder, decay_of(schedules[1], options, 30))
    table = encoder.embeddings.word_embeddings
    assert torch.equal(table.weight[used], whole.weight[used]) and table.padding_idx == 3
    torch.testing.assert_close(table.weight, whole.weight)

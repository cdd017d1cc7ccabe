"""The benchmark: its account of operations, and that it measures what it says."""

import json

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.benchmark import compare, limit, made_up, table
from experiments.benchmark.by_us import SPARSITIES
from experiments.benchmark.commands import ROOT
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model, place_tickets
from mt_dnn.tickets.ticket import DENSE, Ticket

TINY = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 48}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(made_up.SHAPES, "minilm", TINY)
    monkeypatch.setitem(made_up.TEXTS, "rte", (300, {0: 5, 0.5: 9, 1: 30}))


@pytest.mark.parametrize("ticket", [DENSE, Ticket(frozenset({(0, 1), (2, 0), (2, 3)}), frozenset({1}))])
def test_operations_are_those_that_torch_counts(tiny, ticket):
    rows, length, task = 6, 11, made_up.make_task("task")
    model = Model(made_up.make_encoder("minilm"), [task]).eval()
    model.encoder.config._attn_implementation = "eager"  # torch does not count the fused one on CPUs
    place_tickets(model, {"task": ticket})
    batch = made_up.make_split(np.full(rows, length)).batch(np.arange(rows))
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(task, batch)
    with FlopCounterMode(display=False) as training:
        loss_per_row(model, task, batch).sum().backward()
    beside = 2 * rows * (32 * 32 + 32 * 2)  # pooler and task head
    config, lengths = model.encoder.config, np.full(rows, length)
    assert limit.operations(config, lengths, limit.FORWARD, ticket) == forward.get_total_flops() - beside
    assert limit.operations(config, lengths, limit.TRAINING, ticket) == training.get_total_flops() - 3 * beside


@pytest.mark.slow
def test_the_benchmark_measures_every_work_in_both_precisions_and_its_tables_show_them(tiny):
    device = torch.device("cpu")
    part = compare.compare("minilm", "rte", 40, 20, device, ["float32", "bfloat16"], ROOT)
    measured = {(work["work"], work["precision"]): work for work in part["works"]}
    assert len(measured) == len(part["works"])
    ours = {"fine-tuning, adamax", "fine-tuning, adamw", "evaluation", *(f"rewinding at {p}" for p in SPARSITIES)}
    for precision in ("float32", "bfloat16"):
        assert ours <= {work for work, of in measured if of == precision}
    assert ("importance", "float32") in measured and ("importance", "bfloat16") not in measured
    lengths = made_up.lengths_like("rte")
    for (work, _), found in measured.items():
        assert found["tokens"] == (lengths[40:60] if work.startswith("evaluation") else lengths[:40]).sum()
        assert found["seconds"] > 0 and found["peak_mb"] > 100
    needed = {work: measured[work, "bfloat16"]["limit_seconds"] for work in ours}
    assert needed["rewinding at 0.5"] < needed["rewinding at 0.2"] < needed["fine-tuning, adamax"]

    found, adamw = {"machine": compare.machine(device), "compared": {"minilm:rte": part}}, "fine-tuning, adamw"
    speed = f"{measured[adamw, 'bfloat16']['tokens'] / measured[adamw, 'bfloat16']['seconds']:,.0f}"
    (row,) = [line for line in table.to_markdown(found).splitlines() if line.startswith(f"| {adamw} |")]
    assert f"| {speed} |" in row
    assert f"| {adamw} | bfloat16 | {speed} | {speed} | 1.00 x |" in table.side_by_side(found, found)


@pytest.mark.parametrize("has_bfloat16", [True, False])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_bfloat16_is_measured_if_the_machine_has_instructions_for_it(monkeypatch, device, has_bfloat16):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    monkeypatch.setattr(compare, "cpu_has_bfloat16", lambda: has_bfloat16)
    assert ("bfloat16" in compare.precisions_of(torch.device(device))) == has_bfloat16


def test_two_measurements_side_by_side_show_what_both_have():
    def measurement(*works):
        machine = {"device": "CPU", "has": ["avx512_bf16"], "lacks": ["amx_bf16"], "torch": "2", "transformers": "5"}
        part = {"rows": 9, "dev_rows": 3, "matrix_rate": {"float32": 10**9}, "works": works}
        return {"machine": machine, "compared": {"base:rte": part}}

    def work(name, seconds):
        return {"work": name, "precision": "float32", "seconds": seconds, "tokens": 6000, "peak_mb": 1500}

    before = measurement(work("fine-tuning, adamw", 3.0), work("gone", 1.0))
    after = measurement(work("fine-tuning, adamw", 2.0), work("fine-tuning, Trainer", 4.0))
    sides = table.side_by_side(before, after)
    assert "| fine-tuning, adamw | float32 | 2,000 | 3,000 | 1.50 x | 1.5 | 1.5 |" in sides
    assert "gone" not in sides and "Trainer" not in sides and "(avx512_bf16, no amx_bf16)" in sides
    assert "| fine-tuning, adamw | 3,000 |  | 2.00 x Trainer | 1.5 |" in table.to_markdown(after)


@pytest.mark.parametrize("texts", made_up.TEXTS)
def test_made_up_rows_are_as_long_as_the_tasks(texts):
    lengths, (rows, quantiles) = made_up.lengths_like(texts), made_up.TEXTS[texts]
    assert len(lengths) == rows and list(np.rint(np.quantile(lengths, list(quantiles)))) == pytest.approx(
        list(quantiles.values()), abs=1
    )
    if texts == "mnli":
        assert lengths.mean() == pytest.approx(39, abs=1)


def test_rows_that_there_are_not_and_measurements_that_can_not_be_compared_are_one_line(refused, tmp_path):
    line = refused("experiments/benchmark/benchmark.py", "--on", "minilm:rte", "--rows", 2000)
    assert "--rows 2000: expected at most 1660 for minilm:rte" in line
    paths = [tmp_path / name for name in ("before.json", "after.json", "growth.json")]
    for path, content in zip(paths, ({"device": "a CPU", "has": []}, {"device": "a GPU", "has": []}, None)):
        path.write_text(json.dumps({"machine": content, "compared": {}} if content else {"rows": []}))
    line = refused("experiments/benchmark/before_after.py", *paths[:2])
    assert f"{paths[1]}: machine.device: a GPU, expected a CPU as in {paths[0]}" in line
    assert f"{paths[2]}: " in refused("experiments/benchmark/before_after.py", paths[0], paths[2])

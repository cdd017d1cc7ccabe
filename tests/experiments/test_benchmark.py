"""The benchmark: its account of operations, and that it compares what it says."""

import compare  # noqa: E402
import limit  # noqa: E402
import made_up  # noqa: E402
import numpy as np
import pytest
import torch
from by_us import ByUs  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode

from mt_dnn.loss import loss_per_row  # noqa: E402
from mt_dnn.model import Model, place_tickets  # noqa: E402
from mt_dnn.tickets.ticket import DENSE, Ticket  # noqa: E402

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
    batch = made_up.Rows(np.full(rows, length)).batch(np.arange(rows))
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(task, batch)
    with FlopCounterMode(display=False) as training:
        loss_per_row(model, task, batch).sum().backward()
    beside = 2 * rows * (32 * 32 + 32 * 2)  # pooler and task head
    config, lengths = model.encoder.config, np.full(rows, length)
    assert limit.operations(config, lengths, limit.FORWARD, ticket) == forward.get_total_flops() - beside
    assert limit.operations(config, lengths, limit.TRAINING, ticket) == training.get_total_flops() - 3 * beside


def test_everyone_does_the_same_rows_and_the_table_shows_it(tiny, monkeypatch):
    seen = {}

    def watched(name, work):
        return lambda self, rows, *more, **how: (
            seen.setdefault(name, []).append(len(rows)) or work(self, rows, *more, **how)
        )

    for name in ("fine_tune", "score", "evaluate"):
        monkeypatch.setattr(ByUs, name, watched(name, getattr(ByUs, name)))
    part = compare.compare("minilm", "rte", torch.device("cpu"), "float32", batches=3, repeats=2, sparsities=["0.5"])
    assert part["rows"] == 96 and set(seen["fine_tune"]) == set(seen["score"]) == set(seen["evaluate"]) == {32, 96}
    assert {"fine-tuning", "rewinding at 0.5", "importance", "forward pass", "evaluation"} <= part["seconds"].keys()
    assert all(len(times) == 2 and min(times) > 0 for times in part["all_seconds"].values())
    assert part["limit_seconds"]["rewinding at 0.5"] < part["limit_seconds"]["fine-tuning"]
    found = {
        "machine": compare.machine(torch.device("cpu"), "float32"),
        "repeats": 2,
        "compared": {"minilm:rte": part},
        "commands": {"prepro.py --help, seconds": 0.1},
        "growth": {"rows": ([1, 2], [3.0, 4.0])},
    }
    table = compare.to_markdown(found)
    assert f"| fine-tuning | {part['seconds']['fine-tuning']:.2f} |" in table and "rows: 1: 3, 2: 4" in table


@pytest.mark.parametrize("texts", made_up.TEXTS)
def test_made_up_rows_are_as_long_as_the_tasks(texts):
    lengths, (rows, quantiles) = made_up.lengths_like(texts), made_up.TEXTS[texts]
    assert len(lengths) == rows and list(np.rint(np.quantile(lengths, list(quantiles)))) == pytest.approx(
        list(quantiles.values()), abs=1
    )
    if texts == "mnli":
        assert lengths.mean() == pytest.approx(39, abs=1)

"""Finished runs that never ran, for tests of the report: folders as Session and write_masks leave them, with scores of one's choice."""

from data_utils.json_file import write_json
from data_utils.metrics import average_score
from mt_dnn.reports.points import gather
from mt_dnn.tickets.masks import Mask, describe_tickets, write_mask
from mt_dnn.tickets.ticket import DENSE, Shape, Ticket, remaining_weights

REPORT = "mt_dnn/reports/__main__.py"
SHAPE = Shape(3, 4, 32, 64, 100_000)
MODEL = {"name": "tiny", **vars(SHAPE)}


def ticket_of(n_heads, n_ffns, shift=0):
    """A ticket that closes heads one layer after the other, from the head `shift` on."""
    heads = [(at // 3, (at + shift) % 3) for at in range(n_heads)]
    return Ticket(frozenset(heads), frozenset(range(n_ffns)))


def write_run(folder, kind, level, seed, dev, held_out=None, task="rte", shift=0, **options):
    """A finished run of one task as Session writes it; `dev`: its accuracy, or {dev set: {metric: value}}; `held_out`: accuracy there."""
    ticket = DENSE if kind == "dense" else ticket_of(*level, shift)
    dev = dev if isinstance(dev, dict) else {task: {"accuracy": dev}}
    folder = folder / task / kind / f"heads_{level[0]}_ffns_{level[1]}" / f"seed_{seed}"
    write_json(
        folder / "config.json",
        {"epochs": 3, **options, "kind": kind, "seed": seed, "tickets": describe_tickets({task: ticket})},
    )
    write_json(
        folder / "result.json",
        {
            "kind": kind,
            "seed": seed,
            "model": MODEL,
            "dev": dev,
            "average_score": average_score({task: dev}),
            "seconds_per_epoch": 1.5,
            "held_out": {} if held_out is None else {task: {"accuracy": held_out}},
            "tasks": {
                task: {
                    "heads_closed": level[0],
                    "ffns_closed": level[1],
                    "training_rows": 90,
                    "dev_sets": {name: 200 for name in dev},
                    "held_out_rows": 10,
                    "remaining_weights": {"by_formula": round(remaining_weights(ticket, SHAPE), 6), "counted": 1},
                }
            },
        },
    )
    return folder


def write_line(folder, kind, scores, held_out=None, **more):
    """Runs of seeds 1, 2, ... by level: {(heads, FFNs closed): [dev accuracy of each seed]}; `held_out` alike."""
    for level, values in scores.items():
        for at, value in enumerate(values):
            write_run(folder, kind, level, at + 1, value, held_out[level][at] if held_out else None, **more)


def transition_of(folder, dense, winning, **more):
    write_line(folder, "dense", {(0, 0): dense}, **more)
    write_line(folder, "winning", winning, **more)
    (transition,) = gather([folder])
    return transition


def mask_for(folder, task, seed, ticket, **more):
    n_heads, n_ffns = ticket.counts
    write_mask(
        folder / f"masks/winning/heads_{n_heads}_ffns_{n_ffns}.json",
        Mask("winning", MODEL, {task: ticket, **more}, {"seed": seed}),
    )

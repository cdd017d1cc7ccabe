"""Finished runs that never ran, for tests of the report: folders as Session leaves them, with any scores."""

import json

from data_utils.files import write_whole
from data_utils.json_file import write_json
from data_utils.metrics import average_score
from mt_dnn.records.record import read_records
from mt_dnn.reports.gather import gather
from mt_dnn.tickets.masks import describe_tickets
from mt_dnn.tickets.ticket import DENSE, Shape, Ticket, remaining_weights

REPORT = "mt_dnn/reports/__main__.py"
MULTI_TASK = "mt_dnn/reports/multi_task.py"
COLLECT = "mt_dnn/records/collect.py"
SHAPE = Shape(3, 4, 32, 64, 100_000)
MODEL = {"name": "tiny", **vars(SHAPE)}


def ticket_of(n_heads, n_ffns, shift=0):
    """A ticket that closes heads one layer after the other, from the head `shift` on."""
    heads = [(at // 3, (at + shift) % 3) for at in range(n_heads)]
    return Ticket(frozenset(heads), frozenset(range(n_ffns)))


def remaining(ticket):
    return round(remaining_weights(ticket.counts, SHAPE, biases=False), 6)


def write_run(
    folder,
    kind,
    level,
    seed,
    dev,
    held_out=None,
    task="rte",
    shift=0,
    positive=None,
    criterion="",
    owner="",
    code=None,
    **options,
):
    """A finished run of one task as Session writes it.

    `dev`: its accuracy, or {dev set: {metric: value}}; `held_out`: accuracy there; `positive`: how many of 200 dev rows
    are, for dev predictions of a task with one dev set; `criterion`, `owner`: of its ticket, "" for the defaults.
    """
    ticket = DENSE if kind == "dense" else ticket_of(*level, shift)
    dev = dev if isinstance(dev, dict) else {task: {"accuracy": dev}}
    folder = folder / task / (f"tickets_of_{owner}" if owner else "") / criterion / kind
    folder = folder / f"heads_{level[0]}_ffns_{level[1]}" / f"seed_{seed}"
    chosen_by = criterion or (None if kind in ("dense", "random") else "example")
    source = {"criterion": chosen_by, "tickets_of": owner or task}
    options |= {"criteria": {task: source["criterion"]}, "tickets_of": {task: source["tickets_of"]}}
    if positive is not None:
        write_dev_predictions(folder / "dev_predictions.tsv", positive)
    write_whole_text(folder / "metrics.jsonl", json.dumps({"epoch": 1, "dev": dev}) + "\n")
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
            "code": code,
            "held_out": {} if held_out is None else {task: {"accuracy": held_out}},
            "tasks": {
                task: {
                    "heads_closed": level[0],
                    "ffns_closed": level[1],
                    "training_rows": 90,
                    "dev_sets": {name: 200 for name in dev},
                    "held_out_rows": 10,
                    **source,
                    "remaining_weights": {
                        "by_formula": remaining(ticket),
                        "counted": 1,
                    },
                }
            },
        },
    )
    return folder


def write_whole_text(path, text):
    with write_whole(path) as file:
        file.write(text)


def write_dev_predictions(path, positive, rows=200):
    """Labels and the predictions of a model that knows them."""
    labels = ["yes"] * positive + ["no"] * (rows - positive)
    lines = [f"{at}\t{label}\t{label}\t0.5\t0.5\n" for at, label in enumerate(labels)]
    write_whole_text(path, "".join(["row\tlabel\tprediction\tp(no)\tp(yes)\n", *lines]))


def write_line(folder, kind, scores, held_out=None, **more):
    """Runs of seeds 1, 2, ... by level: {(heads, FFNs closed): [dev accuracy of each seed]}; `held_out` alike."""
    for level, values in scores.items():
        for at, value in enumerate(values):
            write_run(folder, kind, level, at + 1, value, held_out[level][at] if held_out else None, **more)


def transition_of(folder, dense, winning, **more):
    write_line(folder, "dense", {(0, 0): dense}, **more)
    write_line(folder, "winning", winning, **more)
    (transition,) = transitions_of(folder)
    return transition


def transitions_of(*folders):
    return gather(read_records(folders))


def write_shared_run(
    folder,
    kind,
    seed,
    dev,
    level=(2, 1),
    mask="super_tickets",
    shift=0,
    model="tiny",
    held_out=None,
    code=None,
    **options,
):
    """A finished run of several tasks; `dev`, `held_out`: {task: accuracy}. Tickets of all tasks have one size."""
    level = (0, 0) if kind == "dense" else level
    tickets = {task: DENSE if kind == "dense" else ticket_of(*level, shift) for task in dev}
    folder = folder / "dense" / f"seed_{seed}" if kind == "dense" else folder / kind / mask / f"seed_{seed}"
    values = {task: {task: {"accuracy": value}} for task, value in dev.items()}
    for task in dev:
        write_dev_predictions(folder / f"dev_predictions_{task}.tsv", positive=110)
    write_whole_text(folder / "metrics.jsonl", json.dumps({"epoch": 1}) + "\n")
    write_json(
        folder / "config.json",
        {
            "epochs": 3,
            **options,
            "kind": kind,
            "seed": seed,
            "criteria": dict.fromkeys(tickets, "example" if kind == "winning" else None),
            "tickets_of": {task: task for task in tickets},
            "tickets": describe_tickets(tickets),
        },
    )
    write_json(
        folder / "result.json",
        {
            "kind": kind,
            "seed": seed,
            "model": {**MODEL, "name": model},
            "dev": {task: own[task] for task, own in values.items()},
            "average_score": average_score(values),
            "seconds_per_epoch": 1.5,
            "code": code,
            "held_out": {task: {"accuracy": value} for task, value in (held_out or {}).items()},
            "tasks": {
                task: {
                    "heads_closed": level[0],
                    "ffns_closed": level[1],
                    "training_rows": 90,
                    "dev_sets": {task: 200},
                    "held_out_rows": 0,
                    "remaining_weights": {
                        "by_formula": remaining(ticket),
                        "counted": 1,
                    },
                }
                for task, ticket in tickets.items()
            },
        },
    )
    return folder

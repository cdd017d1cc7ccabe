"""What the result.json and config.json of a run must hold to enter a report."""

from typing import Any

from data_utils.check import (
    ANYTHING,
    NULL,
    TEXT,
    both,
    check,
    either,
    fields,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
)
from data_utils.errors import UserError
from data_utils.metrics import average_score
from data_utils.task_kinds import TASK_KINDS
from mt_dnn.run_config import RUN_CONFIG
from mt_dnn.tickets.masks import KINDS, SHAPE_KEYS, closed_units, ticket_from

COUNT, SCORE, FRACTION = integer(0, name="a count"), number(-1, 1, name="a score"), number(0, 1)
KNOWN_METRICS = one_of(*(metric for kind in TASK_KINDS.values() for metric in kind.metrics))
FROM_ZERO = "accuracy", "f1"  # the other metrics are correlations
METRICS = both(
    mapping_of(SCORE, KNOWN_METRICS, at_least=1, expected="a score from -1 to 1 by metric"),
    fields({}, dict.fromkeys(FROM_ZERO, number(0, 1, name="a score")), others=True),
)
TASK = fields(
    {
        "heads_closed": COUNT,
        "ffns_closed": COUNT,
        "remaining_weights": fields({"by_formula": FRACTION}, {"counted": FRACTION}, others=True),
        "dev_sets": mapping_of(integer(1, name="a number of rows"), at_least=1),
    },
    {
        "task_kind": one_of(*TASK_KINDS),
        "criterion": either(TEXT, NULL),
        "tickets_of": TEXT,
        "training_rows": COUNT,
        "held_out_rows": COUNT,
    },
    others=True,
)
RESULT = fields(
    {
        "kind": one_of(*KINDS),
        "seed": integer(0, name="a seed"),
        "model": fields(
            {"name": TEXT, "layers": integer(1), "heads": integer(1)},
            dict.fromkeys(SHAPE_KEYS, integer(1)),
            others=True,
        ),
        "tasks": mapping_of(TASK, at_least=1),
        "dev": mapping_of(METRICS, at_least=1),
        "average_score": SCORE,
        "seconds_per_epoch": number(0),
    },
    {"held_out": mapping_of(METRICS), "epochs": integer(1), "code": either(TEXT, NULL)},
    others=True,
)
OPTIONS = both(
    RUN_CONFIG,
    fields(
        {
            **dict.fromkeys(("tickets", "kind", "seed"), ANYTHING),
            "criteria": mapping_of(either(TEXT, NULL)),
            "tickets_of": mapping_of(TEXT),
        },
        {"train_fraction": either(FRACTION, list_of(FRACTION, at_least=1))},
        others=True,
    ),
)


def check_run(result: dict[str, Any], place: str, options: dict[str, Any], options_place: str) -> None:
    """Raise UserError `place: key: found, expected ...` unless `result` and `options` are as Session.do writes them."""
    check(RESULT, result, place)
    check(OPTIONS, options, options_place)
    model, tasks, held_out = result["model"], result["tasks"], result.get("held_out")
    ticket = closed_units(model["layers"], model["heads"])
    check(fields(dict.fromkeys(tasks, ticket)), options["tickets"], options_place, "tickets")
    dev_sets = [dev_set for entry in tasks.values() for dev_set in entry["dev_sets"]]
    check(fields(dict.fromkeys(dev_sets, ANYTHING)), result["dev"], place, "dev")
    if held_out:
        check(fields(dict.fromkeys(tasks, ANYTHING)), held_out, place, "held_out")
    scores = {task: {name: result["dev"][name] for name in entry["dev_sets"]} for task, entry in tasks.items()}
    if abs(result["average_score"] - average_score(scores)) > 1e-6:
        raise UserError(
            f"{place}: average_score: {result['average_score']}, expected {average_score(scores)}, the average of dev"
        )
    for key in ("kind", "seed"):
        _refuse_contradiction(place, key, result[key], options_place, options[key])
    for task, entry in tasks.items():
        ticket = ticket_from(options["tickets"][task])
        for key, closed in zip(("heads_closed", "ffns_closed"), ticket.counts):
            _refuse_contradiction(place, f"tasks.{task}.{key}", entry[key], options_place, closed)
        for key, by_task in (("criterion", "criteria"), ("tickets_of", "tickets_of")):
            if key in entry:
                _refuse_contradiction(
                    place, f"tasks.{task}.{key}", entry[key], options_place, options[by_task].get(task)
                )


def check_baseline(baseline: dict[str, Any], result: dict[str, Any], place: str) -> None:
    """Raise UserError unless `baseline`, of a collected run, has the metrics of `result` for some of its dev sets."""
    check(fields({}, dict.fromkeys(result["dev"], METRICS)), baseline, place, "baseline")
    for dev_set, metrics in baseline.items():
        check(fields(dict.fromkeys(result["dev"][dev_set], SCORE)), metrics, place, f"baseline.{dev_set}")


def _refuse_contradiction(place: str, key: str, found: object, other_place: str, expected: object) -> None:
    if found != expected:
        raise UserError(f"{place}: {key}: {found!r}, expected {expected!r} as in {other_place}")

"""What the result.json and config.json of a run must hold to enter a report."""

from typing import Any

from data_utils.check import (
    ANYTHING,
    NULL,
    TEXT,
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
from data_utils.task_kinds import TASK_KINDS
from mt_dnn.tickets.masks import KINDS, closed_units, ticket_from

COUNT, SCORE, FRACTION = integer(0, name="a count"), number(-1, 1, name="a score"), number(0, 1)
KNOWN_METRICS = one_of(*(metric for kind in TASK_KINDS.values() for metric in kind.metrics))
METRICS = mapping_of(SCORE, KNOWN_METRICS, at_least=1, expected="a score from -1 to 1 by metric")
TASK = fields(
    {
        "heads_closed": COUNT,
        "ffns_closed": COUNT,
        "remaining_weights": fields({"by_formula": FRACTION}, others=True),
        "dev_sets": mapping_of(integer(1, name="a number of rows"), at_least=1),
    },
    {"criterion": either(TEXT, NULL), "tickets_of": TEXT},
    others=True,
)
RESULT = fields(
    {
        "kind": one_of(*KINDS),
        "seed": integer(0, name="a seed"),
        "model": fields({"name": TEXT, "layers": integer(1), "heads": integer(1)}, others=True),
        "tasks": mapping_of(TASK, at_least=1),
        "dev": mapping_of(METRICS, at_least=1),
        "average_score": SCORE,
        "seconds_per_epoch": number(0),
    },
    {"held_out": mapping_of(METRICS)},
    others=True,
)
OPTIONS = fields(
    {"tickets": ANYTHING},
    {"train_fraction": either(FRACTION, list_of(FRACTION, at_least=1))},
    others=True,
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
    for task, entry in tasks.items():
        heads, ffns = ticket_from(options["tickets"][task]).counts
        if (entry["heads_closed"], entry["ffns_closed"]) != (heads, ffns):
            raise UserError(
                f"{place}: tasks.{task}: {entry['heads_closed']} heads and {entry['ffns_closed']} FFNs closed, "
                f"expected {heads} and {ffns} as in the tickets of {options_place}"
            )

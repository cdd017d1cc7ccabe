"""Mask files: a ticket for one or more tasks, for people first.

    {
      "kind": "winning",
      "model": {"name": "bert-base-uncased", "layers": 12, "heads": 12, "hidden": 768, "intermediate": 3072,
                "parameters": 109482240},
      "tickets": {"rte": {"heads": {"0": [3, 7], "5": [1]}, "ffns": [11]}},
      "provenance": {"criterion": "example", "scores": "importance.json, scores sha256 ...", "checkpoint": "...",
                     "seed": 2018, "holdout": 0.0, "encoder_weights": "<SHA-256>",
                     "training_rows": "<fingerprint>", "train_fraction": 1.0, "min_heads_per_layer": 1}
    }

heads: closed heads by layer; ffns: layers whose FFN is closed. Both count from 0. A mask that was merged from those of
several tasks has a provenance for each task, under the task's name.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_utils.advice import advice
from data_utils.check import (
    NULL,
    TEXT,
    Expectation,
    Misfit,
    both,
    check,
    either,
    fields,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
    value_that,
)
from data_utils.errors import UserError
from data_utils.files import write_whole
from data_utils.json_file import read_json, to_json
from data_utils.tasks import NAME
from mt_dnn.run_folder import DEFAULT_CRITERION, unless_default
from mt_dnn.tickets.ticket import DENSE, TICKET_KINDS, Shape, Ticket, by_scores

KINDS = ("dense", *TICKET_KINDS)
SHAPE_KEYS = [field.name for field in dataclasses.fields(Shape)]
MODEL = fields({"name": TEXT, **dict.fromkeys(SHAPE_KEYS, integer(1))})
SOURCE = fields(  # of one task's ticket
    {},
    optional={
        "criterion": either(NAME, NULL),
        "scores": TEXT,
        "checkpoint": TEXT,
        "mask": TEXT,
        "drawn_from": TEXT,
        "encoder_weights": TEXT,
        "tickets_of": TEXT,
        "seed": integer(0),
        "holdout": number(0, 1),
        "training_rows": TEXT,
        "train_fraction": number(0, 1),
        "min_heads_per_layer": integer(0),
    },
    others=True,
    expected="where the ticket comes from, by key",
)


@dataclass(frozen=True)
class Mask:
    """What a mask file says: a Ticket for each task, for one model, and where they come from.

    `model`: its name and the fields of its Shape. `provenance`: text and numbers by key, or by task such a dictionary.
    """

    kind: str
    model: dict[str, Any]
    tickets: dict[str, Ticket]
    provenance: dict[str, Any]

    @property
    def shape(self) -> Shape:
        """The Shape of the model."""
        return Shape(**{key: self.model[key] for key in SHAPE_KEYS})

    def provenance_of(self, task: str) -> dict[str, Any]:
        """Where the ticket of one task comes from."""
        of_task = self.provenance.get(task)
        return of_task if isinstance(of_task, dict) else self.provenance

    def criterion_of(self, task: str) -> str | None:
        """The importance criterion that chose the ticket of one task; None for a ticket that does not depend on scores.

        A mask made by hand need not name it; then it is the default one.
        """
        if not by_scores(self.kind) or self.tickets[task] == DENSE:
            return None
        return self.provenance_of(task).get("criterion") or DEFAULT_CRITERION

    def folder(self, tasks: Iterable[str]) -> Path:
        """The folder of masks of this kind and of the criteria of `tasks`, and of their runs: loss/winning."""
        criteria = sorted({criterion for task in tasks if (criterion := self.criterion_of(task))})
        return Path(unless_default("+".join(criteria))) / self.kind


def write_mask(path: Path, mask: Mask) -> None:
    """Write a mask file, unless it is there as it should be.

    (On NFS, a process gets an error if it reads a file while another process replaces it.)
    """
    content = {"kind": mask.kind, "model": mask.model, "tickets": describe_tickets(mask.tickets)}
    text = to_json({**content, "provenance": mask.provenance})
    if path.is_file():  # no pipe or device, from which reading might never end
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path.read_text(encoding="utf-8") == text:
                return
    with write_whole(path) as file:
        file.write(text)


def refuse_to_replace(path: Path) -> None:
    """Raise UserError if `path` is a file that holds something, but no mask: it may be somebody's work."""
    try:
        if path.is_file() and path.stat().st_size:
            read_mask(path)
    except UserError as error:
        raise UserError(f"{error}; only masks are replaced: take another --output, or remove the file") from None


def describe_tickets(tickets: dict[str, Ticket]) -> dict[str, dict]:
    """Return {task name: Ticket} as a mask file has it, for people: units are listed per layer, ascending."""

    def by_layer(ticket: Ticket) -> dict[str, list[int]]:
        return {str(layer): ticket.heads_of(layer) for layer in sorted({layer for layer, _ in ticket.heads})}

    return {task: {"heads": by_layer(ticket), "ffns": sorted(ticket.ffns)} for task, ticket in tickets.items()}


def ticket_from(entry: dict[str, Any]) -> Ticket:
    """Return the Ticket of one task's `entry` in a mask file: the inverse of describe_tickets()."""
    heads = {(int(layer), head) for layer, closed in entry["heads"].items() for head in closed}
    return Ticket(frozenset(heads), frozenset(entry["ffns"]))


def closed_units(layers: int, heads: int) -> Expectation:
    """What one task's entry in a mask file may hold, for an encoder of this many layers and heads per layer."""
    layer = value_that(f"a layer from 0 to {layers - 1}", lambda value: value in map(str, range(layers)))
    closed = both(
        list_of(integer(0, heads - 1, "a head"), distinct=True, expected="a list of heads"),
        value_that("at least one head of the layer left open", lambda value: len(value) < heads),
    )
    return fields(
        {
            "heads": mapping_of(closed, layer, expected="a list of heads by layer"),
            "ffns": list_of(integer(0, layers - 1, "a layer"), distinct=True, expected="a list of layers"),
        },
        expected="heads by layer, and ffns",
    )


def read_mask(path: str | Path) -> Mask:
    """Read a mask file; return a Mask.

    Raises UserError `file: key: found, expected ...` unless every unit exists in the model that the file names and
    appears once, and every layer keeps a head; and for a dense mask that closes units.
    """
    content = read_json(path, "a mask")
    check(fields({"kind": one_of(*KINDS), "model": MODEL}, others=True), content, path)
    check(_expected(content), content, path)
    tickets = {task: ticket_from(entry) for task, entry in content["tickets"].items()}
    if content["kind"] == "dense" and (closed := [task for task, ticket in tickets.items() if ticket != DENSE]):
        raise UserError(f"{path}: kind: 'dense', expected another one, as tickets.{closed[0]} closes heads or FFNs")
    return Mask(content["kind"], content["model"], tickets, content.get("provenance", {}))


def _expected(content: dict[str, Any]) -> Expectation:
    """What a mask file for the model of `content` holds."""
    ticket = closed_units(content["model"]["layers"], content["model"]["heads"])
    return fields(
        {
            "kind": TEXT,
            "model": MODEL,
            "tickets": mapping_of(ticket, at_least=1, expected="a ticket by task name"),
        },
        optional={"provenance": _provenance(content.get("tickets", ()))},
    )


def _provenance(tickets: Iterable[str]) -> Expectation:
    """Where all tickets come from, or by task where each of `tickets` comes from."""

    def misfits(key: str, value: object) -> Iterator[Misfit]:
        by_task = isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values())
        yield from (fields(dict.fromkeys(tickets, SOURCE)) if by_task else SOURCE).misfits(key, value)

    return Expectation(SOURCE.expected, misfits)


def tickets_for(mask: Mask, path: Path, tasks: Iterable[str]) -> dict[str, Ticket]:
    """Return {task name: Ticket} for the names `tasks`; raise UserError if `mask` (read from `path`) lacks one."""
    tasks = list(tasks)
    for task in tasks:
        if task not in mask.tickets:
            under_another = ", or --tickets_of, which trains a task under another task's ticket"
            raise UserError(
                f"{path}: tickets for {', '.join(mask.tickets)}, expected one for '{task}'; take another --masks or "
                f"{advice('--train_datasets')}{under_another if len(tasks) == 1 else ''}"
            )
    return {task: mask.tickets[task] for task in tasks}


def saved_mask(folder: str | Path) -> Path:
    """Return the mask file of a saved model."""
    return Path(folder) / "mask.json"


def encoder_name(checkpoint: str | Path) -> str:
    """Name an encoder by its folder or hub name; one that was trained here, by what it was trained from and on."""
    if not saved_mask(checkpoint).is_file():
        return Path(checkpoint).name
    mask = read_mask(saved_mask(checkpoint))
    return f"{mask.model['name']} trained on {','.join(mask.tickets)} ({mask.kind})"

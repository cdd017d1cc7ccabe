"""Finished runs of several tasks, gathered into rows of the multi-task table: one encoder and mask, over its seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from data_utils.errors import UserError
from data_utils.metrics import average_score
from mt_dnn.records.record import Record, add_run, compared, refuse_unlike
from mt_dnn.reports.comparison import SeedScores
from mt_dnn.reports.points import Size
from mt_dnn.run_folder import DEFAULT_CRITERION
from mt_dnn.tickets.masks import KINDS

NAMES = {"dense": "MT-DNN", "winning": "Tickets-Share"}  # other kinds: "Tickets-Share, random"
OF_AN_ENCODER = {"encoder", "encoder_weights", "model", "data"}  # the same in all runs of an encoder


@dataclass(eq=False)
class ModelRow:
    """A model of the table.

    `encoder`; `kind` of tickets; `mask`: name of the mask, which is that of the folder above the seeds, "" for MT-DNN;
    `variant`: what else is not as usual, such as a criterion, in words; `runs`: {seed: Record}; `repeats`: runs that
    repeat a seed with other scores, which count nowhere.
    """

    encoder: str
    kind: str
    mask: str
    variant: str
    runs: dict[int, Record]
    repeats: list[Record] = field(default_factory=list)

    @property
    def name(self) -> str:
        kind = NAMES.get(self.kind, f"Tickets-Share, {self.kind}")
        more = "; ".join(part for part in (self.mask, self.variant) if part not in ("", "super_tickets"))
        return f"{kind} ({more}), {self.encoder}" if more else f"{kind}, {self.encoder}"

    def is_control_of(self, other: "ModelRow") -> bool:
        """Whether it has the same mask, but for which units are closed, and shares tickets in the same way."""

        def setup(row: ModelRow) -> tuple:
            return row.mask, _sizes(row.any_run), bool(row.any_run.options.get("exact_sharing"))

        return setup(self) == setup(other)

    @property
    def any_run(self) -> Record:
        """Any of its runs: for what is the same in all."""
        return next(iter(self.runs.values()))

    @property
    def results(self) -> list[dict]:
        return [run.result for run in self.runs.values()]

    @property
    def tasks(self) -> list[str]:
        return self.any_run.tasks

    @property
    def scores(self) -> SeedScores:
        """{seed: Avg Score in points}."""
        return {seed: run.score for seed, run in self.runs.items()}

    def scores_of(self, task: str) -> SeedScores:
        """{seed: average of a task's dev sets and metrics, in points}."""

        def score(result: dict) -> float:
            return average_score({task: {name: result["dev"][name] for name in result["tasks"][task]["dev_sets"]}})

        return {seed: 100 * score(run.result) for seed, run in self.runs.items()}

    def held_out_of(self, task: str) -> SeedScores:
        """{seed: a task's score on the held-out training rows, in points}; {} without such rows."""
        return {seed: score for seed, run in self.runs.items() if (score := run.held_out(task)) is not None}


def gather_rows(records: Sequence[Record]) -> list[ModelRow]:
    """Return the rows of the table, MT-DNN first for each encoder; the same ticket and seed found twice counts once.

    Each seed may have a mask of its own, whose tickets close as many heads and FFNs as those of the other seeds.

    Raises UserError where runs of the table differ in more than encoder, tickets and seed; runs of one encoder in its
    weights or in their data; or runs of a row in more than which units their tickets close.
    """
    rows: dict[tuple[str, int, str, str], ModelRow] = {}
    refuse_unlike(records, compared(records) - OF_AN_ENCODER - {"exact_sharing"})
    encoders = [record.result["model"]["name"] for record in records]
    for encoder in dict.fromkeys(encoders):
        refuse_unlike([record for record, its in zip(records, encoders) if its == encoder], OF_AN_ENCODER)
    for record, encoder in zip(records, encoders):
        mask = "" if record.kind == "dense" else PurePosixPath(record.name).parent.name
        variant = _variant(record)
        key = encoder, KINDS.index(record.kind), variant, mask
        row = rows.setdefault(key, ModelRow(encoder, record.kind, mask, variant, {}))
        for other in row.runs.values():
            if _sizes(other) != _sizes(record):
                raise UserError(
                    f"{other.place} and {record.place}: tickets of other sizes, expected the same; report them apart"
                )
        add_run(row.runs, row.repeats, record)
    for row in rows.values():
        row.runs = dict(sorted(row.runs.items()))
    return [row for _, row in sorted(rows.items())]


def _variant(record: Record) -> str:
    """What is not as usual in how the tickets were found or trained, in words."""
    criteria = dict.fromkeys(filter(None, (record.criterion(task) for task in record.tasks)))
    parts = [f"by {'+'.join(criteria)}"] if set(criteria) - {DEFAULT_CRITERION} else []
    parts += [f"{task} by ticket of {record.owner(task)}" for task in record.tasks if record.owner(task) != task]
    if record.options.get("exact_sharing"):
        parts.append("exact sharing")
    return "; ".join(parts)


def _sizes(record: Record) -> dict[str, Size]:
    """{task: (heads, FFNs closed)}."""
    return {task: record.ticket(task).counts for task in record.tasks}

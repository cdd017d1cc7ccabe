"""What a task is trained and evaluated on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit


@dataclass(frozen=True)
class TaskData:
    """A task and its data.

    `train`: the rows to train on. `dev`: the dev sets by name. `held_out`: the rows of the training split that are not
    trained on but evaluated, if any.
    """

    task: Task
    train: TokenizedSplit
    dev: dict[str, TokenizedSplit]
    held_out: TokenizedSplit | None = None

    @property
    def splits(self) -> list[TokenizedSplit]:
        """All splits that the model sees; `held_out` is a part of the training split, so it is not listed."""
        return [self.train, *self.dev.values()]


def shared_rows(data: Sequence[TaskData]) -> Iterator[str]:
    """Yield one line per dev set, or set of held-out rows, that contains training rows: of its own or another task.

    Such rows are not unseen. MRPC and STS-B share rows in GLUE. Labels may differ.
    """
    evaluated = [(f"dev rows of {name}", dev_set) for own in data for name, dev_set in own.dev.items()]
    evaluated += [(f"held-out rows of {own.task.name}", own.held_out) for own in data if own.held_out]
    rows_of = [(name, [*split.rows()]) for name, split in evaluated]
    wanted = {row for _, rows in rows_of for row in rows}
    for other in data:
        trained = {row for row in other.train.rows() if row in wanted}
        for name, rows in rows_of:
            if count := sum(row in trained for row in rows):
                yield f"{count} of {len(rows)} {name} are training rows of {other.task.name}"

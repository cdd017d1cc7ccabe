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
        """All splits that the model sees; `held_out` is of the same split as `train`."""
        return [self.train, *self.dev.values()]


def shared_rows(data: Sequence[TaskData]) -> Iterator[str]:
    """Yield a line for each dev set of which another task trains on rows: in one encoder, they are not unseen.

    The rows of MRPC and STS-B are such in GLUE. Labels may differ.
    """
    for own in data:
        for name, dev_set in own.dev.items():
            for other in data:
                if other is not own and (count := dev_set.rows_in(other.train)):
                    yield f"{count} of {len(dev_set)} dev rows of {name} are training rows of {other.task.name}"

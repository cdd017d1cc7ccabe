"""What a task is trained and evaluated on."""

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

"""What a task is trained and evaluated on."""

from dataclasses import dataclass

import numpy as np

from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit


@dataclass(frozen=True)
class TaskData:
    """A task and its data.

    `rows`: indices of the rows of the split `train` to train on. `dev`: the dev sets by name. `held_out`: the part of
    the training split that is not trained on but evaluated, if any.
    """

    task: Task
    train: TokenizedSplit
    rows: np.ndarray
    dev: dict[str, TokenizedSplit]
    held_out: TokenizedSplit | None = None

    @property
    def splits(self) -> list[TokenizedSplit]:
        """All splits that the model sees."""
        return [self.train, *self.dev.values(), *([self.held_out] if self.held_out else [])]

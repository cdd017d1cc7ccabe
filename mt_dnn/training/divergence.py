"""Does a training diverge? Its losses and its outputs must be numbers."""

import math

import numpy as np
import torch

from data_utils.advice import advice
from data_utils.errors import Diverged


def refuse_infinite_outputs(outputs: np.ndarray, what: str) -> None:
    """Raise Diverged if an output of a model is NaN or infinite. `what` they are: starts the message.

    The loss of an update is computed before it, so no loss shows whether the last update broke the model.
    """
    if not np.isfinite(outputs).all():
        raise Diverged(
            f"{what} are NaN or infinite, expected numbers; try a smaller {advice('--learning_rate')} "
            f"or {advice('--precision float32')}"
        )


def finite_loss(loss: torch.Tensor | float, when: str) -> float:
    """Return the loss; raise Diverged if it is NaN or infinite. `when`: starts the message."""
    value = float(loss)
    if not math.isfinite(value):
        raise Diverged(
            f"{when}: the loss is {value}, expected a number; try a smaller {advice('--learning_rate')} "
            f"or {advice('--precision float32')}"
        )
    return value

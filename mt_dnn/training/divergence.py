"""Does a training diverge? Its losses and its outputs must be numbers."""

import math
from collections.abc import Mapping

import numpy as np
import torch

from data_utils.advice import advice
from data_utils.errors import Diverged


def refuse_infinite_outputs(outputs: Mapping[str, np.ndarray], when: str) -> None:
    """Raise Diverged if an output for a dev set is NaN or infinite. `outputs`: {dev set: outputs}; `when`: starts the
    message.

    The loss of an update is computed before it, so no loss shows whether the last update broke the model.
    """
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise Diverged(
                f"{when}: outputs for {name} are NaN or infinite, expected numbers; try a smaller "
                f"{advice('--learning_rate')} or {advice('--precision float32')}"
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

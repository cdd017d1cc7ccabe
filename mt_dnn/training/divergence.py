"""Does a training diverge? Its losses and its outputs must be numbers."""

import math
from collections.abc import Mapping

import numpy as np
import torch

from data_utils.advice import advice
from data_utils.errors import Diverged


def refuse_infinite_outputs(outputs: Mapping[str, np.ndarray], when: str) -> None:
    """Raise Diverged, which says `when`, if an output for a dev set is no number; `outputs`: {dev set: outputs}.

    The loss of an update is computed before it, so no loss shows whether the last update broke the model.
    """
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise Diverged(
                f"{when}: outputs for {name} are NaN or infinite, expected numbers; try a smaller "
                f"{advice('--learning_rate')} or {advice('--precision float32')}"
            )


def finite(loss: torch.Tensor | float, when: str) -> float:
    """Return the loss as a number; raise Diverged, which says `when`, if it is none."""
    value = float(loss)
    if not math.isfinite(value):
        raise Diverged(
            f"{when}: the loss is {value}, expected a number; try a smaller {advice('--learning_rate')} "
            f"or {advice('--precision float32')}"
        )
    return value

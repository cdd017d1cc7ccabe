"""Fewer casts in bfloat16: weights are cast once per update, their gradients once per batch.

torch's autocast casts every weight anew for every part of a batch, and the gradient of every part back. On RTE's
lengths a batch has two parts on average and up to five.
"""

import torch
from torch import nn
from torch.func import functional_call

from data_utils.tasks import Task
from mt_dnn.model import Model


class Bfloat16Copies:
    """Copies in bfloat16 of the weights and biases of the linear layers in a model's encoder layers.

    Call it like the model: it computes with the copies, and backward passes sum their gradients up in bfloat16.
    Where it is not `enabled`, there are no copies: it computes as the model does, and has nothing to cast.
    """

    def __init__(self, model: Model, enabled: bool, dtype: torch.dtype = torch.bfloat16) -> None:
        self.model = model
        layers = {f"encoder.encoder.{name}": module for name, module in model.encoder.encoder.named_modules()}
        self.weights = {
            f"{name}.{part}": parameter
            for name, module in layers.items()
            if enabled and isinstance(module, nn.Linear)
            for part, parameter in module.named_parameters(recurse=False)
        }
        self.copies = {
            name: torch.empty_like(weight, dtype=dtype).requires_grad_() for name, weight in self.weights.items()
        }

    def __call__(self, task: Task, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if not self.copies:
            return self.model(task, batch)
        # No encoder here has tied weights, and to look for them in every call takes time.
        return functional_call(self.model, self.copies, (task, batch), tie_weights=False)

    @torch.no_grad()
    def cast_weights(self) -> None:
        """Copy the weights as they are now; call it before every update."""
        if self.copies:
            torch._foreach_copy_(list(self.copies.values()), list(self.weights.values()))

    @torch.no_grad()
    def cast_gradients(self) -> None:
        """Add the copies' gradients to those of the weights.

        Call it after every batch: a sum of many more parts in bfloat16 would lose the parts that are small beside it.
        """
        pairs = zip(self.weights.values(), self.copies.values())
        found = [(weight, gradient) for weight, copy in pairs if (gradient := copy.grad) is not None]
        in_float32 = [torch.empty_like(weight) for weight, _ in found]
        if found:  # all in one call: a GPU would start a kernel for each
            torch._foreach_copy_(in_float32, [gradient for _, gradient in found])
        for (weight, _), gradient in zip(found, in_float32):
            weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
        for copy in self.copies.values():
            copy.grad = None

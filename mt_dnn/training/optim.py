"""Adamax with decoupled decay; warm-up and linear decay of the rate."""

import torch
import transformers


class Adamax(torch.optim.Adamax):
    """torch's Adamax with decoupled weight decay: weights shrink by rate x decay, whatever their gradient.

    (The decay built into torch's Adamax is added to the gradient, and so gets lost in its normalisation.)
    A parameter without a gradient is left alone, as AdamW does.

    The first moment is corrected for its bias towards 0, as in Algorithm 2 of Kingma and Ba (2015). The code released with
    the super-tickets paper leaves this correction out; after 50 updates it changes a step by less than 1 %.
    """

    def __init__(self, groups, lr, weight_decay, **more):
        super().__init__(groups, lr=lr, weight_decay=0, **more)
        for group in self.param_groups:
            group["decoupled_decay"] = weight_decay if group["decays"] else 0.0

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["decoupled_decay"] and moved:
                torch._foreach_mul_(moved, 1 - group["lr"] * group["decoupled_decay"])
        return super().step(closure)


def make_optimizer(model, options):
    """Return the optimizer over all parameters of `model`; biases and LayerNorm do not decay.

    `options`: OptimizationOptions. Betas 0.9 and 0.999, eps 1e-6.
    """
    decays = {True: [], False: []}
    for name, parameter in model.named_parameters():
        decays[not (name.endswith(".bias") or "LayerNorm" in name)].append(parameter)
    groups = [{"params": parameters, "decays": choice} for choice, parameters in decays.items()]
    if options.optimizer == "adamax":
        return Adamax(groups, options.learning_rate, options.weight_decay, betas=(0.9, 0.999), eps=1e-6)
    for group in groups:
        group["weight_decay"] = options.weight_decay if group["decays"] else 0.0
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.999), eps=1e-6, fused=True)


def make_schedule(optimizer, updates, warmup):
    """Linear growth over the first `warmup` (a part, 0 to 1) of `updates`, then linear decay to 0."""
    return transformers.get_linear_schedule_with_warmup(optimizer, int(warmup * updates), updates)


def decays(schedule, options, updates):
    """Return what each of so many updates multiplies a decaying weight without a gradient by."""
    base, part = schedule.base_lrs[0], schedule.lr_lambdas[0]
    return [1 - base * part(update) * options.weight_decay for update in range(updates)]

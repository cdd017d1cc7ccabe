"""Data-parallel processes: torchrun starts one per GPU, each takes its share of every batch.

Without torchrun everything here is that of one process alone, and torch is not even loaded. The first
process alone writes and prints.
"""

import contextlib
import datetime
import os

from data_utils.errors import UserError

LAUNCHED = "TORCHELASTIC_RUN_ID" in os.environ  # set by torchrun
_apart = False


def world_size():
    """How many processes work together."""
    return int(os.environ["WORLD_SIZE"]) if LAUNCHED and not _apart else 1


def rank():
    """The number of this process among those, from 0."""
    return int(os.environ["RANK"]) if LAUNCHED and not _apart else 0


def first_start():
    """Whether torchrun has not started these processes anew because one of them died."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"


def rank_label():
    """What tells the lines of processes that work apart from each other, "[2] "; else nothing."""
    return f"[{os.environ['RANK']}] " if _apart else ""


def is_main_process():
    """Whether this process is the one that writes and prints."""
    return rank() == 0


@contextlib.contextmanager
def process_group(device, share="batches"):
    """Let the processes that torchrun started work together within the block, over nccl on GPUs, else over gloo.

    `device`: --device. `share`: what they share; processes that share "runs" have little to say to each other,
    so they do it over gloo, and several of them can use one GPU.

    Raises UserError where a machine has more processes than GPUs and they share batches.
    """
    if not LAUNCHED:
        yield
        return
    import torch

    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda:
        here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > gpus and share == "batches":
            raise UserError(
                f"{here} processes and {gpus} visible GPUs on this machine, expected one GPU for each process (torchrun --nproc-per-node)"
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    if share == "batches":
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    else:
        torch.distributed.init_process_group(
            "gloo", timeout=datetime.timedelta(days=365)
        )  # at the end the last run is waited for
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            raise UserError("another process ended, and said why") from None
        raise
    torch.distributed.destroy_process_group()  # not after an error: the others may still wait, and this would wait for them


@contextlib.contextmanager
def apart(each_its_own):
    """Within the block, if `each_its_own`, this process works by itself as if there were no others; at its end it waits for them."""
    global _apart
    _apart = each_its_own and LAUNCHED
    try:
        yield
    finally:
        was, _apart = _apart, False
    if was:
        import torch

        torch.distributed.barrier()


def shard(items):
    """This process's part of `items` (a list or array): every world_size()-th one."""
    return items[rank() :: world_size()]


def all_reduce_sum(tensor):
    """Sum `tensor` over the processes, in place; return it."""
    if world_size() > 1:
        import torch

        torch.distributed.all_reduce(tensor)
    return tensor


def all_gather(state):
    """Return every process's `state`, by its rank; a state may be anything that pickles."""
    if world_size() == 1:
        return [state]
    import torch

    states = [None] * world_size()
    torch.distributed.all_gather_object(states, state)
    return states


def all_reduce_gradients(parameters):
    """Sum the gradients of `parameters` over the processes, in place; all processes must have those of the same ones.

    After the last part of a batch, in one exchange. DistributedDataParallel would hide a part of that time behind the last
    backward pass, but it can not wait for gradients that are summed up elsewhere (vocabulary.py, bfloat16.py).
    """
    if world_size() > 1:
        import torch

        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        summed = all_reduce_sum(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = summed.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def on_main_process(function):
    """Call `function` in the first process alone and return its value in all of them; an error for the reader is raised in all.

    For what reads or writes the files of a run.
    """
    if world_size() == 1:
        return function()
    import torch

    outcome = [None, None]
    if is_main_process():
        try:
            outcome[0] = function()
        except (UserError, OSError) as error:
            outcome[1] = error
    torch.distributed.broadcast_object_list(outcome)
    if outcome[1]:
        raise outcome[1]
    return outcome[0]

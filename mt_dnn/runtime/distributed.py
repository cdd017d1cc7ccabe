"""Data-parallel processes: torchrun starts one per GPU, and each computes a part of every batch.

Without torchrun everything here is that of one process alone, and torch is not even loaded. The first process alone
writes and prints.
"""

import contextlib
import datetime
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from data_utils.cli import launched_by_torchrun
from data_utils.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Parameter

T = TypeVar("T")
Items = TypeVar("Items", "np.ndarray", list)

# How long processes that share batches wait for each other: the first one may write a large checkpoint on a slow disk.
TIMEOUT = datetime.timedelta(hours=1)
_apart = False


def world_size() -> int:
    """How many processes work together."""
    return int(os.environ["WORLD_SIZE"]) if launched_by_torchrun() and not _apart else 1


def rank() -> int:
    """The number of this process among those that work together, from 0."""
    return int(os.environ["RANK"]) if launched_by_torchrun() and not _apart else 0


def first_start() -> bool:
    """Whether torchrun has not started these processes anew because one of them died."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"


def rank_label() -> str:
    """The start of every line of a process that works apart from the others, "[2] "; else nothing."""
    return f"[{os.environ['RANK']}] " if _apart else ""


def is_main_process() -> bool:
    """Whether this process is the one that writes and prints."""
    return rank() == 0


@contextlib.contextmanager
def process_group(device: str, parallel: str = "batches") -> Iterator[None]:
    """Within the block, the processes that torchrun started work together: over nccl on GPUs, else over gloo.

    `device`: --device. `parallel`: --parallel, what the processes share: "batches" or "runs". Processes that share runs
    rarely communicate: they use gloo, so that several of them can use one GPU.

    Raises UserError where there is no GPU that torch can use, or processes share batches and a machine has more of them
    than GPUs.
    """
    if not launched_by_torchrun():
        yield
        return
    import torch

    from mt_dnn.runtime.device import choose_device

    cuda = choose_device(device).type == "cuda"
    if cuda:
        processes, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if processes > gpus and parallel == "batches":
            raise UserError(
                f"{processes} processes and {gpus} visible GPUs on this machine, expected one GPU for each process "
                "(torchrun --nproc-per-node; as many GPU ids for a script)"
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    try:
        if parallel == "batches" and cuda:
            gpu = torch.device("cuda", torch.cuda.current_device())
            torch.distributed.init_process_group("nccl", device_id=gpu, timeout=TIMEOUT)
        elif parallel == "batches":
            torch.distributed.init_process_group("gloo", timeout=TIMEOUT)
        else:  # at the end all processes wait for the last run
            torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(days=365))
        yield
        torch.distributed.barrier()  # a process that leaves while another still receives can abort that one
        # Not after an error: it waits for the other processes, and they may be waiting for us.
        torch.distributed.destroy_process_group()
    except RuntimeError as error:
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            raise UserError(_why_no_exchange(str(error))) from None
        raise


def _why_no_exchange(message: str) -> str:
    """What to say where processes can't exchange: mostly another one ended, else it is in torch's message."""
    if re.search("by peer|Broken pipe", message):
        return "another process ended, and said why"
    why = message.strip().removesuffix("Last error:").rpartition("Last error:")[2].strip().splitlines()[0].rstrip(".")
    why = re.sub(r"^\[[^]]*:\d+\] *", "", why)  # the place in torch's source
    if "nccl" in message.lower():
        return f"the GPUs can't exchange over nccl: {why}; NCCL_DEBUG=INFO in the environment shows more"
    return f"the processes can't exchange: {why}"


@contextlib.contextmanager
def apart(each_its_own: bool) -> Iterator[None]:
    """Within the block, if `each_its_own`, this process works as if it were alone; then it waits for the others."""
    global _apart
    _apart = each_its_own and launched_by_torchrun()
    try:
        yield
    finally:
        was, _apart = _apart, False
    if was:
        import torch

        torch.distributed.barrier()


def shard(items: Items) -> Items:
    """Return this process's part of `items`: every world_size()-th one."""
    return items[rank() :: world_size()]


def all_reduce_sum(tensor: "Tensor") -> "Tensor":
    """Sum `tensor` over the processes, in place; return it."""
    if world_size() > 1:
        import torch

        torch.distributed.all_reduce(tensor)
    return tensor


def all_gather(state: T) -> list[T]:
    """Return every process's `state`, by its rank; a state may be anything that pickles."""
    if world_size() == 1:
        return [state]
    import torch

    states: list[Any] = [None] * world_size()
    torch.distributed.all_gather_object(states, state)
    return states


def all_reduce_gradients(parameters: "Iterable[Parameter]") -> None:
    """Sum the gradients of `parameters` over the processes, in place; all processes must have those of the same ones.

    Call it after the last part of a batch; it takes one exchange. DistributedDataParallel would hide a part of that
    time behind the last backward pass, but it cannot wait for gradients that are summed up elsewhere (vocabulary.py,
    bfloat16.py).
    """
    if world_size() > 1:
        import torch

        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        summed = all_reduce_sum(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = summed.split([gradient.numel() for gradient in gradients])
        views = [part.view_as(gradient) for gradient, part in zip(gradients, parts, strict=True)]
        torch._foreach_copy_(gradients, views)  # a GPU would start a kernel for each


def on_main_process(function: Callable[[], T]) -> T:
    """Call `function`, which reads or writes files, in the first process alone; return its value in all of them.

    A UserError or OSError that it raises is raised in all of them.
    """
    if world_size() == 1:
        return function()
    import torch

    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = function()
        except (UserError, OSError) as error:
            outcome[1] = error
    torch.distributed.broadcast_object_list(outcome)
    if outcome[1]:
        raise outcome[1]
    return outcome[0]

"""A GPU that is not there: the CPU computes, but tensors of two devices do not mix, as on a GPU, and waits are counted.

torch is changed for the whole process, so import this in a process of its own.
"""

from collections import Counter

import torch
from torch import library
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

aten = torch.ops.aten


class GpuModule(_DummyBackendModule):
    """What torch.cuda is to CUDA."""

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("gpu", GpuModule())
GPU = torch.device("gpu", 0)
torch.Tensor.pin_memory = lambda tensor: tensor
torch.autograd.set_multithreading_enabled(False)  # FakeGpu holds in one thread
torch.__future__.set_swap_module_params_on_conversion(True)  # else Module.to(GPU) would need a real one
torch._C._set_only_lift_cpu_tensors(True)  # so would torch.tensor(..., device=GPU)


# ---- autocast ----

FOR_ALL, FOR_SOME = library.Library("_", "IMPL"), library.Library("aten", "IMPL")  # they end when they are deleted
FOR_ALL.fallback(library.fallthrough_kernel, "AutocastPrivateUse1")
WITHOUT_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)


def in_bfloat16(operation):
    def to_bfloat16(value):
        return value.to(torch.bfloat16) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    def call(*args, **kwargs):
        with torch._C._ExcludeDispatchKeyGuard(WITHOUT_AUTOCAST):
            return operation(*tree_map(to_bfloat16, args), **tree_map(to_bfloat16, kwargs))

    return call


for name in ("linear", "matmul", "bmm", "baddbmm", "scaled_dot_product_attention"):
    FOR_SOME.impl(name, in_bfloat16(getattr(aten, name)), "AutocastPrivateUse1")


# ---- tensors and operations ----

MOVES, COPIES = aten._to_copy.default, aten.copy_.default  # they take tensors of two devices
INDEXES = aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default  # they take indices on the CPU
FILLS = aten.fill_.Tensor  # it takes a single number on the CPU, as pointwise operations do
READS = aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.masked_select.default


class GpuTensor(torch.Tensor):
    """A tensor that says it is on the GPU; `on_cpu` has its numbers."""

    @staticmethod
    def __new__(cls, on_cpu):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            on_cpu.size(),
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            layout=on_cpu.layout,
            device=GPU,
        )
        made.on_cpu = on_cpu
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation}: outside FakeGpu")


class FakeGpu(TorchDispatchMode):
    """Within this block there is a GPU. `waits`: how often the CPU waited for it, by operation."""

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        on_gpu = [tensor for tensor in tensors if isinstance(tensor, GpuTensor)]
        on_cpu = [tensor for tensor in tensors if not isinstance(tensor, GpuTensor)]
        if on_gpu and on_cpu and operation not in (MOVES, COPIES, *INDEXES):
            takes_numbers = operation is FILLS or torch.Tag.pointwise in operation.tags
            if not takes_numbers or any(tensor.dim() for tensor in on_cpu):
                raise RuntimeError(f"{operation}: tensors on two devices")
        to = kwargs.get("device") or (args[0].device if operation is COPIES else None)
        to_gpu = to.type == GPU.type if to else bool(on_gpu)
        if makes_wait(operation, args, kwargs, bool(on_gpu), bool(on_cpu), to_gpu):
            self.waits[str(operation)] += 1

        out = operation(*tree_map(with_cpu, args), **tree_map(with_cpu, kwargs))
        if not to_gpu:
            return out
        out = tree_map(lambda value: GpuTensor(value) if isinstance(value, torch.Tensor) else value, out)
        return out if operation is MOVES else return_and_correct_aliasing(operation, args, kwargs, out)


def with_cpu(value):
    """A tensor or a device of the GPU, as the CPU has it."""
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.on_cpu if isinstance(value, GpuTensor) else value


def makes_wait(operation, args, kwargs, on_gpu, on_cpu, to_gpu):
    """Whether the CPU stands still until the GPU has computed all before: it needs a number, or copies between them."""
    if operation is MOVES:
        return on_gpu != to_gpu and not kwargs.get("non_blocking")
    if operation is COPIES:
        return on_gpu and on_cpu and not args[2:3] == (True,)
    if operation in INDEXES:
        return on_gpu and (on_cpu or any(index is not None and index.dtype == torch.bool for index in args[1]))
    return on_gpu and operation in READS

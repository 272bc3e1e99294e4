"""What a network is behind its wrappers, and its shapes without its numbers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel

WRAPPERS = (DataParallel, DistributedDataParallel, AveragedModel)


def unwrap(net: nn.Module) -> nn.Module:
    """The network inside `nn.DataParallel`, `torch.compile`, an averaged model and the like."""
    while True:
        if isinstance(net, WRAPPERS):
            net = net.module
        elif "_orig_mod" in getattr(net, "_modules", {}):  # of torch.compile
            net = net._orig_mod
        else:
            return net


def dtype_of(net: nn.Module) -> torch.dtype:
    """The floating type in which a network computes; float32 where it has no such tensor."""
    tensors = [*net.parameters(), *net.buffers()]
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)


def twin(net: nn.Module) -> nn.Module:
    """A copy of `net` on the meta device: every tensor has its shape, none has memory.

    The copy has no hooks: what they record or change is no part of the architecture.

    Raises:
        ValueError: the shapes of a lazy layer are not known yet.
    """
    _check_shapes(net)
    memo: dict[int, object] = {}
    for t in [*net.parameters(), *net.buffers(), *computed(net)]:
        empty = torch.empty_like(t, device="meta", requires_grad=False)
        memo[id(t)] = nn.Parameter(empty, t.requires_grad) if isinstance(t, nn.Parameter) else empty
    for module in net.modules():
        for name, value in vars(module).items():
            if name.endswith("_hooks") and isinstance(value, dict):
                memo[id(value)] = type(value)()
    return copy.deepcopy(net, memo)


def _check_shapes(net: nn.Module) -> None:
    for name, module in net.named_modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if any(is_lazy(t) for t in own):
            raise ValueError(
                f"`net`: `{name}` is a {type(module).__name__} whose shapes are not known yet:"
                " run the network once first"
            )


def computed(net: nn.Module) -> list[Tensor]:
    """Tensors that modules hold as plain attributes; deepcopy refuses those with a gradient."""
    return [v for m in net.modules() for v in vars(m).values() if isinstance(v, Tensor)]

"""Copies of a network with other tensors, whose layers know their new shapes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from prunelab import meta


def tensors_of(net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, persistent or not, a shared tensor once."""
    return dict([*net.named_parameters(), *net.named_buffers()])


def rebuild(net: nn.Module, change: Callable[[str, Tensor], Tensor]) -> nn.Module:
    """A copy of `net` whose tensors went through `change`; layer attributes follow the shapes.

    The new tensors are handed to deepcopy as if they had been copied already, so shared tensors
    stay shared and nothing large is copied twice.
    """
    memo: dict[int, object] = {}
    for tensor in meta.computed(net):  # of a weight norm and the like, computed anew when it runs
        memo[id(tensor)] = tensor.detach().clone()
    for name, tensor in tensors_of(net).items():
        new = change(name, tensor.detach())
        new = new.clone() if new.data_ptr() == tensor.data_ptr() else new
        if isinstance(tensor, nn.Parameter):
            new = nn.Parameter(new, tensor.requires_grad)
        memo[id(tensor)] = new
    small = copy.deepcopy(net, memo)
    for module in small.modules():
        _fit(module)
    return small


def _fit(module: nn.Module) -> None:
    """Make the attributes of a layer agree with the shapes of its tensors."""
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        module.in_channels, module.out_channels = weight.shape[0], weight.shape[1] * module.groups
    elif isinstance(module, nn.modules.conv._ConvNd):
        per_group = module.out_channels // module.groups
        if module.groups > 1:
            module.groups = weight.shape[0] // per_group
        module.out_channels = weight.shape[0]
        module.in_channels = weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        module.num_features = next((len(t) for t in tensors if t.ndim), module.num_features)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(weight)

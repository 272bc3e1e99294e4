"""Copies of a network with other tensors, whose layers know their new shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from prunelab import checks, meta


def tensors_of(net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, persistent or not, a shared tensor once; without a wrapper's name."""
    net = meta.network(net, "tensors_of")
    return dict([*net.named_parameters(), *net.named_buffers()])


def rebuild(net: nn.Module, change: Callable[[str, Tensor], Tensor]) -> nn.Module:
    """A copy of `net` whose tensors went through `change`; layer attributes follow the shapes.

    The new tensors are handed to deepcopy as if they had been copied already, so shared tensors
    stay shared and nothing large is copied twice. Of a wrapped network it is the inner one.
    """
    net, memo = meta.network(net, "rebuild"), {}
    checks.function("rebuild", "change", change, "name", "tensor")
    for name, tensor in tensors_of(net).items():
        new = _changed(change, name, tensor.detach())
        new = new.clone() if new.data_ptr() == tensor.data_ptr() else new
        if isinstance(tensor, nn.Parameter):
            new = nn.Parameter(new, tensor.requires_grad)
        memo[id(tensor)] = new
    # Others are computed anew when the network runs (a weight norm), or are kept activations.
    small = meta.duplicate(net, memo, lambda tensor: tensor.detach().clone())
    for module in small.modules():
        _fit(module)
    return small


def _changed(change: Callable[[str, Tensor], Tensor], name: str, tensor: Tensor) -> Tensor:
    new = checks.call("rebuild", "change", change, name, tensor)
    checks.kind("rebuild", "change", new, Tensor, "a function that gives a tensor")
    return new


def widths(net: nn.Module) -> dict[str, int]:
    """Attribute -> channels, for norms that have no tensor which would tell."""
    kind = nn.modules.batchnorm._NormBase
    norms = {name: m for name, m in net.named_modules() if isinstance(m, kind)}
    return {
        f"{name}.num_features": m.num_features
        for name, m in norms.items()
        if m.weight is None and m.running_mean is None
    }


def resize(net: nn.Module, counts: Mapping[str, int]) -> None:
    """Write such widths into `net`, in place."""
    for name, channels in counts.items():
        layer, _, attribute = name.rpartition(".")
        setattr(net.get_submodule(layer), attribute, channels)


def _fit(module: nn.Module) -> None:
    """Make the attributes of a layer agree with the shapes of its tensors."""
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        if module.groups > 1:
            module.groups = weight.shape[0] // (module.in_channels // module.groups)
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
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = weight.shape

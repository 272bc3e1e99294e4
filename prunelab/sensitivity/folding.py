"""Folding: a batch norm that follows a convolution in evaluation is part of that convolution."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from prunelab.surgery import rebuild

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def copy_of(net: nn.Module) -> nn.Module:
    """A copy in evaluation mode, in channels-last memory, whose layers never write in place."""
    copied = rebuild(net, lambda _, tensor: tensor).eval().requires_grad_(False)
    for module in copied.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return channels_last(copied)


def channels_last(net: nn.Module) -> nn.Module:
    """The same network with 4-D weights in channels-last memory, which convolutions prefer."""
    return net.to(memory_format=torch.channels_last)


def norms_of(graph: fx.Graph, net: nn.Module) -> dict[str, str]:
    """Convolution or linear layer -> the batch norm that can be folded into it.

    It can where the norm is the only reader of the layer, both run once, and the norm has running
    statistics.
    """
    runs: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            runs.setdefault(node.target, []).append(node)
    found = {}
    for name, nodes in runs.items():
        norm, before = net.get_submodule(name), nodes[0].args[0] if nodes[0].args else None
        plain = isinstance(norm, NORMS) and norm.running_mean is not None and len(nodes) == 1
        if not plain or getattr(before, "op", "") != "call_module" or len(before.users) > 1:
            continue
        layer = net.get_submodule(before.target)
        if type(layer) in (*CONVS, nn.Linear) and len(runs[before.target]) == 1:
            found[before.target] = name
    return found


@torch.no_grad()
def folded(net: nn.Module, norms: Mapping[str, str]) -> nn.Module:
    """A copy for evaluation, with batch norms folded into the layers before them.

    Args:
        net: any network; unchanged.
        norms: layer -> its batch norm, from `norms_of`.

    Returns:
        The same function up to rounding, as a network of the same layers with `Identity` in the
        place of each folded norm.
    """
    out = copy_of(net)
    for name, norm_name in norms.items():
        layer, norm = out.get_submodule(name), out.get_submodule(norm_name)
        layer.weight, layer.bias = _folded(layer, norm)
        parent, _, last = norm_name.rpartition(".")
        setattr(out.get_submodule(parent), last, nn.Identity())
    return channels_last(out)


def _folded(layer: nn.Module, norm: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    r"""W' = w * gamma / sigma and b' = (b - mu) * gamma / sigma + beta, channel by channel."""
    fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
    moments: tuple[Tensor, ...] = (norm.running_mean, norm.running_var, norm.eps)
    weight, bias = fuse(layer.weight, layer.bias, *moments, norm.weight, norm.bias)
    return tuple(nn.Parameter(t.detach(), requires_grad=False) for t in (weight, bias))

"""Folding: a batch norm that follows a convolution in evaluation is part of that convolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights
from torch.nn.utils.parametrize import is_parametrized

from prunelab.groups.operators import CONVS, NORMS
from prunelab.surgery import rebuild

IMAGES = (nn.Conv2d, nn.ConvTranspose2d)


def copy_of(net: nn.Module) -> nn.Module:
    """A copy in evaluation mode."""
    return rebuild(net, lambda _, tensor: tensor).eval().requires_grad_(False)


def hooks_of(net: nn.Module) -> Iterator[tuple[str, dict, int]]:
    """Each hook that is not torch's own: name of its module, the dict that it is in, its key.

    Weight norm, spectral norm and torch's pruning, all in their older form, are hooks of torch's.
    """
    for name, module in net.named_modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in hooks.items():
                if not type(hook).__module__.startswith("torch."):
                    yield name, hooks, key


def without_hooks(net: nn.Module) -> nn.Module:
    """The same network with no hooks but torch's own, which compute weights."""
    for _, hooks, key in list(hooks_of(net)):
        del hooks[key]
    return net


def is_plain(module: nn.Module) -> bool:
    """Whether the layer's weight is its own parameter, and calling it is all that uses it."""
    hooks = module._forward_hooks or module._forward_pre_hooks
    return not hooks and not is_parametrized(module) and "weight" in module._parameters


def channels_last(net: nn.Module) -> nn.Module:
    """The same network, with convolutions' weights in the memory that they prefer on images."""
    for module in net.modules():
        if type(module) in IMAGES and is_plain(module):
            module.to(memory_format=torch.channels_last)
    return net


def norms_of(graph: fx.Graph, net: nn.Module) -> dict[str, str]:
    """Convolution or linear layer -> the batch norm that can be folded into it.

    It can where the norm is the only reader of the layer, both run once and are plain, the norm has
    running statistics, and nothing else reads a tensor of either. (Tensors may be shared: the fused
    layer gets its own.)
    """
    runs: dict[str, list[fx.Node]] = {}
    for node in graph.find_nodes(op="call_module"):
        runs.setdefault(node.target, []).append(node)
    read = {node.target.rpartition(".")[0] for node in graph.find_nodes(op="get_attr")}

    def alone(name: str) -> bool:
        return is_plain(net.get_submodule(name)) and len(runs[name]) == 1 and name not in read

    found = {}
    for name, nodes in runs.items():
        norm, before = net.get_submodule(name), nodes[0].args[0] if nodes[0].args else None
        if type(norm) not in NORMS or norm.running_mean is None or norm.running_var is None:
            continue
        if getattr(before, "op", "") != "call_module" or len(before.users) > 1:
            continue
        layer = type(net.get_submodule(before.target))
        if layer in (*CONVS, nn.Linear) and alone(name) and alone(before.target):
            found[before.target] = name
    return found


@torch.no_grad()
def folded(net: nn.Module, norms: Mapping[str, str], layout: torch.memory_format) -> nn.Module:
    """A copy for evaluation, with batch norms folded into the layers before them.

    Args:
        net: any network; unchanged.
        norms: layer -> its batch norm, from `norms_of`.
        layout: memory that convolutions on images prefer; `torch.contiguous_format` for a network
            that asks how its values lie in memory (`view` does).

    Returns:
        The same function up to rounding, as a network of the same layers with `Identity` in the
        place of each folded norm.
    """
    out = copy_of(net)
    for name, norm_name in norms.items():
        layer, norm = out.get_submodule(name), out.get_submodule(norm_name)
        fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
        moments = norm.running_mean, norm.running_var, norm.eps
        fused = fuse(layer.weight, layer.bias, *moments, norm.weight, norm.bias)
        layer.weight, layer.bias = (nn.Parameter(t, requires_grad=False) for t in fused)
        out.set_submodule(norm_name, nn.Identity())
    return channels_last(out) if layout == torch.channels_last else out

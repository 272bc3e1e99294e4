r"""Inherited: the error that reaches a residual block through its shortcut.

    wanted of the last layer of a branch = Y_2 + (Y_1 - Y_1')

Y_2 is what the layer writes in the whole network, Y_1 what the shortcut gives there, and Y_1' what
it gives in the network pruned so far. Behind a batch norm with scale g and deviation s, the layer
has to write s / g times the difference.

Source: He, Zhang, Sun 2017, section 3.3 (papers/baselines.md section 2).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from prunelab import meta
from prunelab.groups.operators import NORMS
from prunelab.methods.discrimination.places import Wiring, is_addition

SMALL = 1e-3  # a norm with a smaller scale lets nothing through that could make up for an error
Inherited = Callable[[Tensor], Tensor]


def inherited(net: nn.Module, whole: nn.Module, layer: str, example: Tensor) -> Inherited | None:
    """A function from images to what the output of `layer` has to make up for.

    Args:
        net: the network pruned so far.
        whole: the same before pruning.
        layer: a module of both.
        example: images that they take.

    Returns:
        (N, C, H, W) -> (N, n, H', W'); None if what `layer` writes is not added to a shortcut.
    """
    with meta.in_mode(net, False), meta.in_mode(whole, False):
        wirings = [Wiring.of(one, example, "inherited") for one in (net, whole)]
    beside = [_beside(wiring, layer) for wiring in wirings]
    if None in beside:
        return None
    (now, norm), (then, _) = beside
    ways = [wiring.part([node]) for wiring, node in zip(wirings, (now, then))]
    scale = torch.ones(()) if norm is None else _through(norm)

    def difference(x: Tensor) -> Tensor:
        with meta.in_mode(net, False), torch.inference_mode():
            pruned, unpruned = (way(x)[0] for way in ways)
            return (unpruned - pruned) * scale.to(pruned)

    return difference


def _beside(wiring: Wiring, layer: str) -> tuple[fx.Node, nn.Module | None] | None:
    """What the output of a layer is added to, and the norm on the way."""
    node, norm = wiring.end(layer), None
    while len(node.users) == 1:
        (user,) = node.users
        if is_addition(user):
            (other,) = (n for n in user.all_input_nodes if n is not node)
            return other, norm
        module = wiring.parts.get(user.target) if user.op == "call_module" else None
        if norm is not None or not isinstance(module, NORMS) or module.weight is None:
            return None
        node, norm = user, module
    return None


def _through(norm: nn.Module) -> Tensor:
    """(n, 1, 1) by how much the input of a norm has to change for its output to change by 1."""
    scale = norm.weight.detach()
    deviation = (norm.running_var + norm.eps).sqrt()
    return torch.where(scale.abs() > SMALL, deviation / scale, 0.0)[:, None, None]

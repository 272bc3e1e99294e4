r"""Inherited: the error that reaches a residual block through its shortcut.

    wanted of the last layer of a branch = Y_2 + (Y_1 - Y_1')

Y_2 is what the layer writes in the whole network, Y_1 what the shortcut gives there, and Y_1' what
it gives in the network pruned so far. Behind a batch norm with scale g and deviation s, the layer
has to write s / g times the difference.

Source: He, Zhang, Sun 2017, section 3.3 (papers/baselines.md section 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from prunelab.groups.operators import NORMS
from prunelab.groups.wiring import Wiring, is_addition

SMALL = 1e-3  # a norm with a smaller scale lets nothing through that could make up for an error


def shortcut(wiring: Wiring, layer: str) -> tuple[fx.Node, Tensor] | None:
    """What the output of a layer is added to, and how much more the layer has to write.

    Returns:
        The node, and (n,) or (1,) s / g; None if the output is not added to a shortcut.
    """
    node, norm = wiring.call(layer), None
    while len(node.users) == 1:
        (user,) = node.users
        if is_addition(user):
            (other,) = (n for n in user.all_input_nodes if n is not node)
            return other, torch.ones(1) if norm is None else _through(norm)
        module = wiring.parts.get(user.target) if user.op == "call_module" else None
        if norm is not None or not isinstance(module, NORMS) or module.weight is None:
            return None
        node, norm = user, module
    return None


def _through(norm: nn.Module) -> Tensor:
    """(n,) by how much the input of a norm has to change for its output to change by 1."""
    scale = norm.weight.detach()
    deviation = (norm.running_var + norm.eps).sqrt()
    return torch.where(scale.abs() > SMALL, deviation / scale, 0.0)

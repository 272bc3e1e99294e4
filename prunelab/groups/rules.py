"""What layers and channel-by-channel operations do to channels: one short rule each.

A rule gets the operation's inputs (`Tracked` activations, `Parameter`s, plain values) and its
output's shape, and returns the output's labels. `table` says which rule serves which operation;
`meeting` and `movement` have the rules for operands that meet and for data that moves.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils import _pytree as pytree

from prunelab.groups.group import IN, OUT, THROUGH
from prunelab.groups.labels import (
    Count,
    Op,
    Parameter,
    Tracked,
    along,
    fix,
    refuse,
    spread,
    unite,
    varying,
)


def unknown(op: Op) -> object:
    """No rule: be honest."""
    kind = type(op.module).__name__ if op.module is not None else op.name
    why = f"`{kind}` at `{op.node.name}` is not an operation that prunelab knows"
    if op.module is not None and is_parametrized(op.module):
        why = f"a tensor of `{op.name}` is computed (a parametrisation)"
    if op.module is not None and any(True for _ in op.module.parameters()):
        refuse(op, why)
    return fix(op, why)


def keep(op: Op) -> object:
    """Entry by entry: activations, dropout, casts."""
    if not isinstance(op.out, Tensor) or op.out.shape != op.x.meta.shape:
        return unknown(op)
    return op.x.labels


def pool(op: Op) -> object:
    """Pooling, resampling, padding of pixels: the channels stand on axis 1 and stay there."""
    first = op.out if isinstance(op.out, Tensor) else op.out[0]
    atoms = along(op.x.labels, 1)
    if atoms is None or first.ndim < 3 or first.shape[:2] != op.x.meta.shape[:2]:
        return fix(op, f"`{op.node.name}` mixes its channels with positions")
    return pytree.tree_map(lambda o: spread(atoms, 1, o.shape), op.out)


def per_channel(op: Op) -> Tensor:
    """Batch norm, instance norm, PReLU: one entry of each tensor per channel."""
    atoms = along(op.x.labels, 1)
    if atoms is None:
        return fix(op, f"`{op.name}` reads a mixture of channels and positions")
    width = getattr(op.module, "num_features", len(atoms))
    if width != len(atoms):
        raise ValueError(f"expected {width} channels, got {len(atoms)}")
    own = op.tensors() if op.module is not None else _direct(op)
    for name, tensor in own.items():
        if tensor.ndim == 1 and len(tensor) == len(atoms):
            if name not in op.names.tensors:
                return fix(op, f"a tensor of `{op.name}` is computed (a parametrisation)")
            op.evidence.see(name, 0, THROUGH, atoms)
    return op.x.labels


def _direct(op: Op) -> dict[str, Tensor]:
    """Tensors handed to a functional operation."""
    return {p.name if p.axes == (0,) else f"{p.name}()": p.meta for p in op.parameters}


def across(op: Op) -> object:
    """Layer norm, softmax, local response: each output depends on many channels."""
    kind = type(op.module).__name__ if op.module is not None else op.name
    return fix(op, f"its channels pass `{op.node.name}` ({kind}), which works across channels")


def layer(op: Op, weight: Tensor, bias: Tensor | None, axis: int, groups: int = 1) -> Tensor:
    """A linear map from the channels along `axis`: convolution or linear layer."""
    if weight not in op.names or (bias is not None and bias not in op.names):
        why = f"a tensor of `{op.name}` is computed (a parametrisation)"
        if op.module is None:
            why = f"the weight or bias of `{op.name}` is computed"
        refuse(op, why)
        return fix(op, why)
    see, name = op.evidence.see, op.names.of(weight, op.name)
    out = op.evidence.atoms(name, weight.shape[0])
    atoms = along(op.x.labels, axis)
    if atoms is None:  # what enters stays whole; what is written is free
        fix(op, f"`{op.name}` reads a mixture of channels and positions")
    if groups == 1 or atoms is None:
        if atoms is not None:
            see(name, 1, IN, atoms)
        see(name, 0, OUT, out)
    else:  # a grouped convolution is pruned by whole groups: tie each group's inputs and outputs
        first = out[:: len(out) // groups]
        op.evidence.unite(np.repeat(first, len(out) // groups), out)
        op.evidence.unite(np.repeat(first, len(atoms) // groups), atoms)
        see(name, 0, THROUGH, out)
    if bias is not None:
        see(op.names.of(bias, op.name), 0, OUT if groups == 1 else THROUGH, out)
    return spread(out, axis, op.out.shape)


def conv(op: Op) -> Tensor:
    """A convolution module."""
    m = op.module
    return layer(op, m.weight, m.bias, 1, m.groups)


def linear(op: Op) -> Tensor:
    """A linear module."""
    return layer(op, op.module.weight, op.module.bias, op.out.ndim - 1)


def conv_transpose(op: Op) -> Tensor:
    """As `conv`, with the weight's first two axes exchanged."""
    m = op.module
    atoms = along(op.x.labels, 1)
    if m.groups != 1 or atoms is None or m.weight not in op.names:
        why = f"`{op.name}` is a transposed convolution with groups or a parametrisation"
        refuse(op, why)
        return fix(op, why)
    name = op.names.of(m.weight, op.name)
    out = op.evidence.atoms(name, m.out_channels)
    op.evidence.see(name, 0, IN, atoms)
    op.evidence.see(name, 1, OUT, out)
    if m.bias is not None:
        op.evidence.see(op.names.of(m.bias, op.name), 0, OUT, out)
    return spread(out, 1, op.out.shape)


def functional(op: Op) -> object:
    """F.conv2d, F.linear and friends, where the weight is a parameter of the network."""
    named = dict(
        zip(["input", "weight", "bias", "stride", "padding", "dilation", "groups"], op.args)
    )
    named.update(op.kwargs)
    weight, bias, groups = named.get("weight"), named.get("bias"), named.get("groups", 1)
    if not isinstance(weight, Parameter) or isinstance(bias, Tracked):
        return unknown(op)
    if groups != 1 and (isinstance(groups, Count) or not _counts_groups(op, weight)):
        return fix(op, f"`{op.node.name}` has the constant number of groups {groups}")
    axis = op.out.ndim - 1 if op.name == "linear" else 1
    return layer(op, weight.meta, None if bias is None else bias.meta, axis, groups)


def _counts_groups(op: Op, weight: Parameter) -> bool:
    """Whether a convolution module owns the weight: `shrink` keeps its `groups` up to date."""
    known = weight.name in op.names.tensors
    return known and isinstance(op.names.owner(weight.name), nn.modules.conv._ConvNd)


def reduce(op: Op) -> object:
    """mean, sum, amax, norm, ...: over pixels the channels stay, over channels they mix."""
    place = 2 if op.name == "norm" else 1  # norm(x, p, dim)
    dims = op.args[place] if len(op.args) > place else op.kwargs.get("dim", op.kwargs.get("axis"))
    if dims is None or not isinstance(op.out, Tensor):
        return across(op)
    dims = {d % op.x.meta.ndim for d in (dims if isinstance(dims, tuple | list) else [dims])}
    if dims & set(varying(op.x.labels)):
        return across(op)
    labels = op.x.labels
    for d in dims:
        labels = labels.narrow(d, 0, 1)
    return labels.reshape(op.out.shape)


def glu(op: Op) -> object:
    """A gated linear unit: a channel of the first half goes with one of the second."""
    dim = op.module.dim if op.module is not None else op.kwargs.get("dim", (*op.args, -1)[1])
    first, second = op.x.labels.chunk(2, dim)
    unite(op.evidence, first, second)
    return first

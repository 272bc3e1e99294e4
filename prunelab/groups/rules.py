"""What each operation does to channels: one short rule per kind of operation.

A rule gets the operation's inputs (`Tracked` activations, `Parameter`s, plain values) and its
output's shape, and returns the output's labels. `table` says which rule serves which operation.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelab.groups.evidence import Evidence
from prunelab.groups.group import IN, OUT, THROUGH
from prunelab.groups.labels import (
    Op,
    Parameter,
    Tracked,
    along,
    blank,
    fix,
    labels_of,
    method,
    spread,
    varying,
)

ADDITIONS = {"add", "iadd", "add_", "__add__", "sub", "isub"}


def unknown(op: Op) -> object:
    """No rule: be honest."""
    kind = type(op.module).__name__ if op.module is not None else op.name
    return fix(op, f"`{kind}` at `{op.node.name}` is not an operation that prunelab knows")


def keep(op: Op) -> Tensor:
    """Channel by channel: activations, dropout, pooling, resampling."""
    if op.out.shape == op.x.meta.shape:
        return op.x.labels
    atoms = along(op.x.labels, 1)
    if atoms is None or len(atoms) != op.out.shape[1]:
        return fix(op, f"`{op.node.name}` mixes its positions")
    return spread(atoms, 1, op.out.shape)


def per_channel(op: Op) -> Tensor:
    """Batch norm, instance norm, PReLU: one entry of each tensor per channel."""
    atoms = along(op.x.labels, 1)
    if atoms is None:
        return fix(op, f"`{op.name}` reads a mixture of channels and positions")
    for name, tensor in op.tensors().items():
        if tensor.ndim == 1 and len(tensor) == len(atoms):
            op.evidence.see(name, 0, THROUGH, atoms)
    return op.x.labels


def across(op: Op) -> object:
    """Layer norm, softmax, local response: each output depends on many channels."""
    kind = type(op.module).__name__ if op.module is not None else op.name
    return fix(op, f"its channels pass `{op.node.name}` ({kind}), which works across channels")


def layer(op: Op, weight: Tensor, bias: Tensor | None, axis: int, groups: int = 1) -> Tensor:
    """A linear map from the channels along `axis`: convolution or linear layer."""
    if weight not in op.names:
        return fix(op, f"the weight of `{op.name}` is computed (a parametrisation)")
    atoms = along(op.x.labels, axis)
    if atoms is None:
        return fix(op, f"`{op.name}` reads a mixture of channels and positions")
    see, name = op.evidence.see, op.names.of(weight, op.name)
    out = op.evidence.atoms(name, weight.shape[0])
    if groups == 1:
        see(name, 1, IN, atoms)
        see(name, 0, OUT, out)
    else:  # a grouped convolution is pruned by whole groups: tie each group's inputs and outputs
        first = out[:: len(out) // groups]
        op.evidence.unite(np.repeat(first, len(out) // groups), out)
        op.evidence.unite(np.repeat(first, len(atoms) // groups), atoms)
        see(name, 0, THROUGH, out)
    if bias is not None and bias in op.names:
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
    if m.groups != 1 or atoms is None:
        return fix(op, f"`{op.name}` is a grouped transposed convolution")
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
    weight, bias = named.get("weight"), named.get("bias")
    if not isinstance(weight, Parameter):
        return unknown(op)
    axis = op.out.ndim - 1 if op.name == "linear" else 1
    return layer(op, weight.meta, bias and bias.meta, axis, named.get("groups", 1))


def elementwise(op: Op) -> Tensor:
    """Two or more operands, position by position: the channels that meet are united."""
    shape = op.out.shape
    operands = [a for a in pytree.tree_leaves((op.args, op.kwargs)) if isinstance(a, Tracked)]
    spreads = [_broadcast(a.labels, shape) for a in operands]
    for p in pytree.tree_leaves((op.args, op.kwargs)):
        if isinstance(p, Parameter) and p.meta.numel() > 1:
            spreads.append(_parameter(op, p, shape))
    full = [s for s, whole in spreads if whole] or [spreads[0][0]]
    for other in full[1:]:
        _unite(op.evidence, full[0], other)
    if op.name in ADDITIONS and len(operands) > 1:
        op.evidence.added.extend(np.unique(s.numpy()) for s in full)
    return full[0]


def _broadcast(labels: Tensor, shape: torch.Size) -> tuple[Tensor, bool]:
    """Labels in the output's shape; False where one channel serves many (it ties none of them)."""
    labels = labels.reshape([1] * (len(shape) - labels.ndim) + list(labels.shape))
    whole = labels.shape[1:2] == shape[1:2] or bool(varying(labels)) or labels.ndim < 2
    return labels.expand(shape), whole


def _parameter(op: Op, p: Parameter, shape: torch.Size) -> tuple[Tensor, bool]:
    """A parameter with one entry per channel (a layer scale) joins the channel."""
    axes = [d for d, n in enumerate(p.meta.shape) if n > 1]
    if len(axes) != 1 or p.meta not in op.names:
        return blank(op, shape, f"`{p.name}` meets it at `{op.node.name}`"), True
    atoms = op.evidence.atoms(p.name, p.meta.shape[axes[0]])
    op.evidence.see(p.name, axes[0], THROUGH, atoms)
    return spread(atoms, axes[0] - p.meta.ndim + len(shape), shape), True


def _unite(evidence: Evidence, a: Tensor, b: Tensor) -> None:
    for d in range(a.ndim):  # a stride of 0 in both means the same pair again and again
        if a.stride(d) == 0 and b.stride(d) == 0:
            a, b = a.narrow(d, 0, 1), b.narrow(d, 0, 1)
    evidence.unite(a.numpy(), b.numpy())


def move(op: Op) -> object:
    """Operations that only move data are run on the labels."""
    call = op.node.target if op.node.op == "call_function" else method(op.name)
    if op.module is not None:
        call = op.module
    labels = call(*labels_of(op.args), **labels_of(op.kwargs))
    for out in pytree.tree_leaves(labels):
        if len(varying(out)) > 1 and len(varying(op.x.labels)) < 2:
            return fix(op, f"`{op.node.name}` splits its channels over two axes (a shuffle)")
    return labels


def reshape(op: Op) -> object:
    """view, reshape: as `move`, but a size written as a number would no longer fit."""
    if op.node.op == "call_method" or op.name == "reshape":
        sizes = op.node.args[1:]
        sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
    else:
        return unknown(op)
    labels = op.x.labels.reshape(op.out.shape)
    if len(varying(labels)) > 1:
        return fix(op, f"`{op.node.name}` splits its channels over two axes (a shuffle)")
    for axis in varying(labels):
        if isinstance(sizes[axis], int) and sizes[axis] > 1:
            return fix(op, f"`{op.node.name}` has the constant size {sizes[axis]} (try flatten(1))")
    return labels


def select(op: Op) -> object:
    """Indexing and splitting: fine over pixels; a constant part of the channels would shift."""
    if isinstance(op.args[0], tuple | list):
        return labels_of(op.args[0])[op.args[1]]
    if len(op.tracked) > 1:
        return unknown(op)
    labels = move(op)
    entering = len(np.unique(op.x.labels.numpy()))
    for out in pytree.tree_leaves(labels):
        if len(np.unique(out.numpy())) != entering:
            return fix(op, f"`{op.node.name}` takes a fixed part of its channels")
    return labels


def chunk(op: Op) -> object:
    """Equal parts stay equal only if they lose the same channels."""
    parts = move(op)
    if len({p.shape for p in parts}) > 1:
        return fix(op, f"`{op.node.name}` cuts its channels into unequal parts")
    if any(len(np.unique(p.numpy())) != len(np.unique(op.x.labels.numpy())) for p in parts):
        for part in parts[1:]:
            _unite(op.evidence, parts[0], part)
    return parts


def concatenate(op: Op) -> Tensor:
    """Channels side by side; along another axis, channels that meet are united."""
    parts = op.args[0] if op.args else op.kwargs["tensors"]
    if not all(isinstance(p, Tracked) for p in parts):
        return unknown(op)
    axis = (op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", 0)) % op.out.ndim
    labels = [p.labels for p in parts]
    if axis == 1 or any(axis in varying(x) for x in labels):
        return torch.cat([_thin(x, axis) for x in labels], axis).expand(op.out.shape)
    labels = [x.narrow(axis, 0, 1) for x in labels]
    for other in labels[1:]:
        _unite(op.evidence, labels[0], other)
    return labels[0].expand(op.out.shape)


def _thin(labels: Tensor, axis: int) -> Tensor:
    """Labels with every axis but `axis` cut to length 1 where nothing varies."""
    for d in set(range(labels.ndim)) - {axis} - set(varying(labels)):
        labels = labels.narrow(d, 0, 1)
    return labels


def pad(op: Op) -> object:
    """Padding pixels changes nothing; padded channels are constants and stay."""
    atoms = along(op.x.labels, 1)
    if atoms is None:
        return fix(op, f"`{op.node.name}` pads a mixture of channels and positions")
    sizes = op.args[1] if len(op.args) > 1 else op.kwargs["pad"]
    fore = (
        len(sizes) // 2 - op.out.ndim + 1
    )  # index of the channel axis among the padded, from the end
    low = sizes[2 * (op.out.ndim - 2)] if fore >= 0 else 0
    extra = op.out.shape[1] - len(atoms) - low
    zero = blank(op, torch.Size([1]), f"`{op.node.name}` adds constant channels to it").numpy()
    atoms = np.concatenate([np.repeat(zero, low), atoms, np.repeat(zero, extra)])
    return spread(atoms, 1, op.out.shape)


def reduce(op: Op) -> object:
    """mean, sum, amax, ...: over pixels the channels stay, over channels they mix."""
    dims = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim")
    if dims is None or not isinstance(op.out, Tensor):
        return across(op)
    dims = {d % op.x.meta.ndim for d in (dims if isinstance(dims, tuple | list) else [dims])}
    if dims & set(varying(op.x.labels)):
        return across(op)
    labels = op.x.labels
    for d in dims:
        labels = labels.narrow(d, 0, 1)
    return labels.reshape(op.out.shape)

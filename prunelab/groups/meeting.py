"""Operands that meet: additions, products, concatenations. What meets is united."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelab.groups.group import THROUGH
from prunelab.groups.labels import (
    Op,
    Parameter,
    Tracked,
    blank,
    fix,
    spread,
    thin,
    unite,
    varying,
)
from prunelab.groups.rules import counts, plain, unknown

ADDITIONS = {"add", "iadd", "radd", "sub", "isub", "rsub", "subtract"}
# Which operand must not be zero.
DIVISOR = {"rdiv": 0, "rtruediv": 0, "rfloordiv": 0, "rmod": 0, "addcdiv": 2} | dict.fromkeys(
    "truediv itruediv div divide true_divide idiv floordiv ifloordiv floor_divide mod imod fmod "
    "remainder xlogy".split(),
    1,
)
STACKS = {"vstack": 0, "row_stack": 0, "hstack": 1, "column_stack": 1}
POWERS = {"pow", "ipow", "rpow", "float_power"}


def elementwise(op: Op) -> object:
    """Two or more operands, position by position: the channels that meet are united."""
    name, leaves = plain(op.name), pytree.tree_leaves((op.args, op.kwargs))
    if not isinstance(op.out, Tensor):
        return unknown(op)
    if counts(op):
        return fix(op, f"`{op.node.name}` computes with the number of its channels")
    if name in DIVISOR and _holds_channels(_operand(op, DIVISOR[name])):  # it would be 0 / 0
        return fix(op, f"`{op.node.name}` divides by its channels")
    if name in POWERS and not _safe_power(op, name):
        return fix(op, f"`{op.node.name}` has an exponent that is not a positive number")
    shape = op.out.shape
    operands = [_align(a.labels, shape) for a in leaves if isinstance(a, Tracked)]
    axes = {d for x in operands for d in varying(x)}
    whole = [x for x in operands if varying(x) or all(x.shape[d] == shape[d] for d in axes)]
    full = [x.expand(shape) for x in whole]  # the others: one channel that serves many ties none
    parameters = [a for a in leaves if isinstance(a, Parameter) and a.meta.numel() > 1]
    full += [x for a in parameters if (x := _parameter(op, a, axes)) is not None]
    for other in full[1:]:
        unite(op.evidence, full[0], other)
    if name in ADDITIONS and len(operands) > 1:
        op.evidence.added.extend(np.unique(thin(x).numpy()) for x in full)
    return full[0]


def _holds_channels(a: object) -> bool:
    return isinstance(a, Tracked) or (isinstance(a, Parameter) and a.meta.numel() > 1)


def _operand(op: Op, place: int) -> object:
    """The operand at `place`, also where it is given by name."""
    names = ("input", "tensor1", "tensor2") if op.name.startswith("addcdiv") else ("input", "other")
    return op.args[place] if len(op.args) > place else op.kwargs.get(names[place])


def _safe_power(op: Op, name: str) -> bool:
    """A positive base, or a positive number or one learned scalar (GeM pooling) as exponent."""
    base, exponent = _operand(op, 0), op.kwargs.get("exponent", _operand(op, 1))
    if name == "rpow":
        base, exponent = exponent, base
    if isinstance(exponent, Parameter):
        return exponent.meta.numel() == 1
    if isinstance(exponent, Tracked):
        return isinstance(base, int | float) and base > 0
    return isinstance(exponent, int | float) and exponent > 0


def _align(labels: Tensor, shape: torch.Size) -> Tensor:
    return labels.reshape([1] * (len(shape) - labels.ndim) + list(labels.shape))


def _parameter(op: Op, p: Parameter, axes: set[int]) -> Tensor | None:
    """A parameter with one entry per channel (a layer scale) joins the channel.

    None: it does not vary along the channels at all.
    """
    shape = op.out.shape
    own = {d - p.meta.ndim + len(shape) for d, n in enumerate(p.meta.shape) if n > 1}
    meets = sorted(own & axes)
    if not meets:
        return None
    tensor = op.names.tensors.get(p.name)
    if len(meets) > 1 or tensor is None or (tensor.shape != p.meta.shape and tensor.ndim > 1):
        return blank(op, shape, f"`{p.name}` meets it at `{op.node.name}`")
    axis = 0 if tensor.ndim == 1 else meets[0] + p.meta.ndim - len(shape)
    atoms = op.evidence.atoms((p.name, axis), tensor.shape[axis])
    op.evidence.see(p.name, axis, THROUGH, atoms)
    return spread(atoms, meets[0], shape)


def move_parameter(op: Op) -> Parameter:
    """A layer scale that is reshaped before use (`gamma[:, None, None]`) keeps its name."""
    source = next(a for a in pytree.tree_leaves((op.args, op.kwargs)) if isinstance(a, Parameter))
    plain = op.name in {"getitem", "unsqueeze", "view", "reshape"}
    constant = op.name in {"view", "reshape"} and any(
        isinstance(n, int) and n > 1 for n in pytree.tree_leaves(op.node.args[1:])
    )
    same = max(source.meta.shape, default=1) == math.prod(op.out.shape) == source.meta.numel()
    return Parameter(op.out, source.name if plain and same and not constant else op.node.name)


def concatenate(op: Op) -> object:
    """Channels side by side; along another axis, channels that meet are united."""
    parts = op.args[0] if op.args else op.kwargs["tensors"]
    if not all(isinstance(p, Tracked) for p in parts):
        return fix(op, f"`{op.node.name}` joins it with a tensor that is no activation")
    axis = _axis(op)
    labels = [p.labels for p in parts]
    others = {d for x in labels for d in varying(x)} - {axis}
    if axis == 1 or any(axis in varying(x) for x in labels):
        # only one entry along the axes on which nothing differs, so that no memory is used
        few = labels
        for d in set(range(op.out.ndim)) - others - {axis}:
            few = [x.narrow(d, 0, 1) for x in few]
        return torch.cat(few, axis).expand(op.out.shape)
    labels = [x.narrow(axis, 0, 1) for x in labels]
    for other in labels[1:]:
        unite(op.evidence, labels[0], other)
    return labels[0].expand(op.out.shape)


def stack(op: Op) -> object:
    """Activations side by side on an axis of their own: the channels that meet are united."""
    parts = op.args[0] if op.args else op.kwargs["tensors"]
    if not all(isinstance(p, Tracked) for p in parts):
        return fix(op, f"`{op.node.name}` joins it with a tensor that is no activation")
    for other in parts[1:]:
        unite(op.evidence, parts[0].labels, other.labels)
    return parts[0].labels.unsqueeze(_axis(op)).expand(op.out.shape)


def _axis(op: Op) -> int:
    """The axis of a concatenation; hstack and vstack have it in their names."""
    if op.name in STACKS:
        return STACKS[op.name]
    axis = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", op.kwargs.get("axis", 0))
    return axis % op.out.ndim

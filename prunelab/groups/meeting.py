"""Operands that meet: additions, products, concatenations. What meets is united."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, fx

from prunelab.groups.group import THROUGH
from prunelab.groups.labels import along, atoms_in, narrowed, spread, varying
from prunelab.groups.operation import Op, leaves_of, metas, method
from prunelab.groups.operators import ADDITIONS, plain
from prunelab.groups.rules import unknown
from prunelab.groups.values import Parameter, Tracked

# Which operand must not be zero.
DIVISOR = {"rdiv": 0, "rtruediv": 0, "rfloordiv": 0, "rmod": 0, "addcdiv": 2} | dict.fromkeys(
    "truediv itruediv div divide true_divide idiv floordiv ifloordiv floor_divide mod imod fmod "
    "remainder xlogy".split(),
    1,
)
OPERANDS = ("input", "other tensor1", "tensor2")  # their names, where they are given by name
STACKS = {"vstack": 0, "row_stack": 0, "hstack": 1, "column_stack": 1}
POWERS = {"pow", "ipow", "rpow", "float_power"}


def elementwise(op: Op) -> object:
    """Two or more operands, position by position: the channels that meet are united."""
    name = plain(op.name)
    if not isinstance(op.out, Tensor):
        return unknown(op)
    if op.counts:
        return op.fix_counted()
    if name in DIVISOR:
        place = DIVISOR[name]
        divisor = op.argument(OPERANDS[place], place)
        if isinstance(divisor, Tracked) or (isinstance(divisor, Parameter) and divisor.several):
            return op.fix(f"{op.call} divides by its channels")  # it would be 0 / 0
    if name in POWERS and not _safe_power(op, name):
        return op.fix(f"{op.call} has an exponent that is not a positive number")
    shape = op.out.shape
    operands = [_align(a.labels, shape) for a in op.tracked]
    axes = {d for x in operands for d in varying(x)}
    whole = [x for x in operands if varying(x) or all(x.shape[d] == shape[d] for d in axes)]
    full = [x.expand(shape) for x in whole]  # the others: one channel that serves many ties none
    full += [_joined(op, p, meets, shape) for p in op.parameters if (meets := _on(p, axes, shape))]
    op.unite_all(full)
    if name in ADDITIONS and len(operands) > 1:
        op.evidence.added.extend(map(atoms_in, full))
    return full[0]


def _safe_power(op: Op, name: str) -> bool:
    """A positive base, or a positive number or one learned scalar (GeM pooling) as exponent."""
    base, exponent = op.argument("input", 0), op.argument("exponent other", 1)
    if name == "rpow":
        base, exponent = exponent, base
    if isinstance(exponent, Parameter):
        return not exponent.several
    if isinstance(exponent, Tracked):
        return isinstance(base, int | float) and base > 0
    return isinstance(exponent, int | float) and exponent > 0


def _align(labels: Tensor, shape: torch.Size) -> Tensor:
    return labels.reshape([1] * (len(shape) - labels.ndim) + list(labels.shape))


def _on(p: Parameter, axes: set[int], shape: torch.Size) -> list[int]:
    """Those of `axes` along which a tensor of the network varies in an output of `shape`."""
    lacks = len(shape) - p.meta.ndim
    return [d for d in sorted(axes) if d >= lacks and p.meta.shape[d - lacks] > 1]


def _joined(op: Op, p: Parameter, meets: list[int], shape: torch.Size) -> Tensor:
    """Labels of `shape`: a tensor with one entry per channel (a layer scale) joins the channel."""
    axis = p.axis(meets[0] - len(shape)) if len(meets) == 1 else None
    if axis is None:
        return op.blank(shape, f"`{p.name}` meets it at {op.call}")
    atoms = op.evidence.atoms((p.name, axis), op.names.tensors[p.name].shape[axis])
    op.evidence.see(p.name, axis, THROUGH, atoms)
    return spread(atoms, meets[0], shape)


def concatenate(op: Op) -> object:
    """Channels side by side; along another axis, channels that meet are united."""
    axis = _axis(op)
    others = {d for p in op.tracked for d in varying(p.labels)} - {axis}
    parts = op.argument("tensors", 0)
    labels = [
        p.labels
        if isinstance(p, Tracked)
        else _joined(op, p, _on(p, others, p.meta.shape), p.meta.shape)
        for p in parts
    ]
    if any(axis in varying(x) for x in labels) or (axis == 1 and not others):
        # only one entry along the axes on which nothing differs, so that no memory is used
        same = set(range(op.out.ndim)) - others - {axis}
        return torch.cat([narrowed(x, same) for x in labels], axis).expand(op.out.shape)
    labels = [x.narrow(axis, 0, 1) for x in labels]
    op.unite_all(labels)
    return labels[0].expand(op.out.shape)


def stack(op: Op) -> object:
    """Activations side by side on an axis of their own: the channels that meet are united."""
    parts = op.argument("tensors", 0)
    if not all(isinstance(p, Tracked) for p in parts):
        return op.fix(f"{op.call} joins it with a tensor that is no activation")
    op.unite_all(p.labels for p in parts)
    return parts[0].labels.unsqueeze(_axis(op)).expand(op.out.shape)


def _axis(op: Op) -> int:
    """The axis of a concatenation; hstack and vstack have it in their names."""
    axis = STACKS[op.name] if op.name in STACKS else op.argument("dim axis", 1, 0)
    return axis % op.out.ndim


SAME = set("detach data to float double half type_as contiguous clone requires_grad_".split())
MOVES = set(
    """getitem unsqueeze squeeze view reshape flatten t transpose permute expand expand_as repeat
    movedim swapaxes swapdims T mT""".split()
)


def move_parameter(op: Op) -> Parameter:
    """A layer scale that is reshaped before use (`gamma[:, None, None]`) stays connected.

    The move is run on the positions of each axis: where all of them still stand in order along one
    axis, that axis goes along; the others are read as a whole.
    """
    (source,) = op.parameters
    axes: list[int | None] = [None] * op.out.ndim
    if op.name in SAME:
        axes = list(source.axes)
    elif op.name in MOVES:
        for d, axis in enumerate(source.axes):
            place = _moved(op, source, d) if axis is not None else None
            if place is not None:
                axes[place] = axis
    kept = {axis for axis in axes if axis is not None}
    op.evidence.touched.update((source.name, axis) for axis in kept)
    name = source.name if kept else f"{op.name}()"
    return Parameter(op.out, name, tuple(axes) if kept else ())


def _moved(op: Op, source: Parameter, d: int) -> int | None:
    """The axis on which all positions of axis `d` stand after a move, in order, or None."""
    n = source.meta.shape[d]
    rest = leaves_of(op.args[1:])
    if n < 2 or any(isinstance(a, list | Tensor) for a in op.args[1:]):
        return None
    positions = spread(np.arange(n), d, source.meta.shape)
    args, kwargs = fx.node.map_aggregate(
        (op.args, op.kwargs), lambda a: positions if a is source else metas(a)
    )
    name = "reshape" if op.name == "view" else op.name  # these take no memory of their own
    call = method(name) if op.node.op == "call_method" else op.node.target
    found = call(*args, **kwargs)
    for place in varying(found):
        if np.array_equal(along(found, place), np.arange(n)):
            constant = op.name in {"view", "reshape", "expand", "repeat"} and n in rest
            return None if constant else place
    return None

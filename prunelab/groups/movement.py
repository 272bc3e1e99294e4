"""Operations that move data. They are run on the labels themselves, so their effect is exact.

What is left to prove is that the same call still fits when channels are gone: a size, an index or
a cut written as a constant would not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from prunelab.groups.labels import atoms_in, narrowed, spread, varying
from prunelab.groups.operation import Op, metas, method
from prunelab.groups.rules import unknown
from prunelab.groups.values import ChannelCount, Parameter, Tracked


def move(op: Op) -> object:
    """flatten, permute, transpose, unsqueeze, ..."""
    call = op.node.target if op.node.op == "call_function" else method(op.name)
    args, kwargs = fx.node.map_aggregate(
        (op.args, op.kwargs), lambda a: a.labels if isinstance(a, Tracked) else metas(a)
    )
    labels = (op.module or call)(*args, **kwargs)
    for out in pytree.tree_leaves(labels):
        if len(varying(out)) > 1 and len(varying(op.x.labels)) < 2:
            return _shuffles(op)
    return labels


def _shuffles(op: Op) -> object:
    return op.fix(f"{op.call} splits its channels over two axes (a shuffle)")


def _takes_part(op: Op) -> object:
    return op.fix(f"{op.call} takes a fixed part of its channels")


def attribute(op: Op) -> object:
    """x.T and the like."""
    name = op.args[1]
    if name in {"T", "mT", "H", "mH"}:
        return getattr(op.x.labels, name)
    return op.x.labels if name in {"data", "real"} else unknown(op)


def squeeze(op: Op) -> object:
    """Without an axis, a channel that is left alone would be squeezed away too."""
    if len(op.args) + len(op.kwargs) < 2 and varying(op.x.labels):
        return op.fix(f"{op.call} names no axis (try flatten(1))")
    return move(op)


def reshape(op: Op) -> object:
    """view, reshape, expand: a size of the channels' axis written as a number would not fit."""
    sizes = op.args[1:]
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
    if op.name == "expand_as":
        sizes = [-1] * op.out.ndim
    if len(sizes) != op.out.ndim or (op.name == "expand_as" and op.x is not op.args[0]):
        return unknown(op)
    grow = "expand" in op.name or op.name == "broadcast_to"
    labels = op.x.labels.expand(op.out.shape) if grow else op.x.labels.reshape(op.out.shape)
    return _shaped(op, labels, sizes)


def unflatten(op: Op) -> object:
    """One axis becomes several."""
    dim, sizes = op.argument("dim", 1), op.argument("sizes", 2)
    if op.module is not None:
        dim, sizes = op.module.dim, op.module.unflattened_size
    if isinstance(dim, str) or not all(isinstance(n, int | ChannelCount) for n in sizes):
        return unknown(op)
    dim %= op.x.meta.ndim
    around = [-1] * op.x.meta.ndim
    sizes = [*around[:dim], *sizes, *around[dim + 1 :]]
    return _shaped(op, op.x.labels.reshape(op.out.shape), sizes)


def _shaped(op: Op, labels: Tensor, sizes: list) -> object:
    """Labels in their new shape; `sizes` as they were asked for.

    Where channels are spread over several axes of which one has the size -1, what stands at one
    entry of that axis goes together: then the other sizes stay what they are.
    """
    axes = varying(labels)
    free = [d for d in axes if isinstance(sizes[d], int) and sizes[d] == -1]
    if len(axes) > 1 and len(free) != 1:
        return _shuffles(op)
    if len(axes) > 1:
        unit = narrowed(labels, set(axes) - set(free)).expand(labels.shape)
        op.unite_all([labels, unit])
        return unit
    for axis in axes:
        if isinstance(sizes[axis], int) and sizes[axis] > 1:
            return op.fix(f"{op.call} has the constant size {sizes[axis]} (try flatten(1))")
    return labels


def repeat(op: Op) -> object:
    """repeat, tile, repeat_interleave: each channel several times."""
    if op.name == "repeat_interleave" and op.argument("dim", 2) is None:
        return op.fix(f"{op.call} names no axis")
    if op.counts or any(isinstance(a, Parameter | Tensor) for a in op.args[1:]):
        return op.fix(f"{op.call} repeats a number of times that is computed")
    return move(op)


def windows(op: Op) -> object:
    """x.unfold(axis, size, step): over pixels, each window on an axis of its own."""
    along_channels = op.args[1] % op.x.meta.ndim in varying(op.x.labels)
    return _takes_part(op) if along_channels else move(op)


def select(op: Op) -> object:
    """Indexing and splitting: fine over pixels; a constant part of the channels would shift."""
    if len(op.tracked) > 1 or op.parameters or any(isinstance(a, Tensor) for a in op.leaves):
        return unknown(op)
    if op.name == "getitem":
        index = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
        if any(isinstance(i, list) for i in index):
            return op.fix(f"{op.call} picks its channels by a list of positions")
    elif _dim(op) in varying(op.x.labels):
        if "split" in op.name and op.counts:  # x.split(x.shape[1] // 2, 1)
            return chunk(op)
        return _takes_part(op)
    labels = move(op)
    entering = len(atoms_in(op.x.labels))
    if any(len(atoms_in(out)) != entering for out in pytree.tree_leaves(labels)):
        return _takes_part(op)
    return labels


def _dim(op: Op) -> int:
    """The axis that split, chunk, narrow, select or unbind works along."""
    place = 2 if "split" in op.name or "chunk" in op.name else 1
    return op.argument("dim", place, 0) % op.x.meta.ndim


def chunk(op: Op) -> object:
    """Equal parts stay equal only if they lose the same channels."""
    parts = move(op)
    if _dim(op) not in varying(op.x.labels):
        return parts
    if len({p.shape for p in parts}) > 1:
        return op.fix(f"{op.call} cuts its channels into unequal parts")
    op.unite_all(parts)
    return parts


def pad(op: Op) -> object:
    """Padding pixels changes nothing; padded channels are constants and stay."""
    atoms = op.channels()
    if atoms is None:
        return op.fix(f"{op.call} pads a mixture of channels and positions")
    sizes = op.argument("pad", 1)
    first = 2 * (op.out.ndim - 2)  # sizes start at the last axis; the channels' pair is here
    low, high = sizes[first : first + 2] if len(sizes) > first else (0, 0)
    if isinstance(low, ChannelCount) or isinstance(high, ChannelCount) or min(low, high) < 0:
        return op.fix(f"{op.call} pads or cuts its channels to a fixed number")
    if not low and not high:
        return spread(atoms, 1, op.out.shape)
    zero = op.blank(torch.Size([1]), f"{op.call} adds constant channels to it").numpy()
    atoms = np.concatenate([np.repeat(zero, low), atoms, np.repeat(zero, high)])
    return spread(atoms, 1, op.out.shape)

"""Operations that move data. They are run on the labels themselves, so their effect is exact.

What is left to prove is that the same call still fits when channels are gone: a size, an index or
a cut written as a constant would not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelab.groups.labels import (
    Count,
    Op,
    Parameter,
    along,
    blank,
    fix,
    labels_of,
    method,
    spread,
    thin,
    unite,
    varying,
)
from prunelab.groups.rules import counts, unknown


def move(op: Op) -> object:
    """flatten, permute, transpose, unsqueeze, ..."""
    call = op.node.target if op.node.op == "call_function" else method(op.name)
    labels = (op.module or call)(*labels_of(op.args), **labels_of(op.kwargs))
    for out in pytree.tree_leaves(labels):
        if len(varying(out)) > 1 and len(varying(op.x.labels)) < 2:
            return fix(op, f"`{op.node.name}` splits its channels over two axes (a shuffle)")
    return labels


def attribute(op: Op) -> object:
    """x.T and the like."""
    name = op.args[1]
    if name in {"T", "mT", "H", "mH"}:
        return getattr(op.x.labels, name)
    return op.x.labels if name in {"data", "real"} else unknown(op)


def squeeze(op: Op) -> object:
    """Without an axis, a channel that is left alone would be squeezed away too."""
    if len(op.args) + len(op.kwargs) < 2 and varying(op.x.labels):
        return fix(op, f"`{op.node.name}` names no axis (try flatten(1))")
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
    named = dict(zip(["input", "dim", "sizes"], op.args)) | op.kwargs
    if op.module is not None:
        named = {"dim": op.module.dim, "sizes": op.module.unflattened_size}
    dim, sizes = named["dim"], named["sizes"]
    if isinstance(dim, str) or not all(isinstance(n, int | Count) for n in sizes):
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
        return fix(op, f"`{op.node.name}` splits its channels over two axes (a shuffle)")
    if len(axes) > 1:
        unit = labels
        for d in set(axes) - set(free):
            unit = unit.narrow(d, 0, 1)
        unit = unit.expand(labels.shape)
        unite(op.evidence, labels, unit)
        return unit
    for axis in axes:
        if isinstance(sizes[axis], int) and sizes[axis] > 1:
            return fix(op, f"`{op.node.name}` has the constant size {sizes[axis]} (try flatten(1))")
    return labels


def repeat(op: Op) -> object:
    """repeat, tile, repeat_interleave: each channel several times."""
    named = op.kwargs.get("dim", op.args[2] if len(op.args) > 2 else None)
    if op.name == "repeat_interleave" and named is None:
        return fix(op, f"`{op.node.name}` names no axis")
    if counts(op) or any(isinstance(a, Parameter | Tensor) for a in op.args[1:]):
        return fix(op, f"`{op.node.name}` repeats a number of times that is computed")
    return move(op)


def windows(op: Op) -> object:
    """x.unfold(axis, size, step): over pixels, each window on an axis of its own."""
    if op.args[1] % op.x.meta.ndim in varying(op.x.labels):
        return fix(op, f"`{op.node.name}` takes a fixed part of its channels")
    return move(op)


def select(op: Op) -> object:
    """Indexing and splitting: fine over pixels; a constant part of the channels would shift."""
    rest = pytree.tree_leaves((op.args[1:], op.kwargs))
    if len(op.tracked) > 1 or any(isinstance(a, Parameter | Tensor) for a in rest):
        return unknown(op)
    dims = varying(op.x.labels)
    if op.name == "getitem":
        index = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
        if any(isinstance(i, list) for i in index):
            return fix(op, f"`{op.node.name}` picks its channels by a list of positions")
    elif _dim(op) in dims:
        if "split" in op.name and op.counts:  # x.split(x.shape[1] // 2, 1)
            return chunk(op)
        return fix(op, f"`{op.node.name}` takes a fixed part of its channels")
    labels = move(op)
    entering = len(np.unique(thin(op.x.labels).numpy()))
    for out in pytree.tree_leaves(labels):
        if len(np.unique(thin(out).numpy())) != entering:
            return fix(op, f"`{op.node.name}` takes a fixed part of its channels")
    return labels


def _dim(op: Op) -> int:
    """The axis that split, chunk, narrow, select or unbind works along."""
    place = 2 if "split" in op.name or "chunk" in op.name else 1
    dim = op.args[place] if len(op.args) > place else op.kwargs.get("dim", 0)
    return dim % op.x.meta.ndim


def chunk(op: Op) -> object:
    """Equal parts stay equal only if they lose the same channels."""
    parts = move(op)
    if _dim(op) not in varying(op.x.labels):
        return parts
    if len({p.shape for p in parts}) > 1:
        return fix(op, f"`{op.node.name}` cuts its channels into unequal parts")
    for part in parts[1:]:
        unite(op.evidence, parts[0], part)
    return parts


def pad(op: Op) -> object:
    """Padding pixels changes nothing; padded channels are constants and stay."""
    atoms = along(op.x.labels, 1)
    if atoms is None:
        return fix(op, f"`{op.node.name}` pads a mixture of channels and positions")
    sizes = op.args[1] if len(op.args) > 1 else op.kwargs["pad"]
    first = 2 * (op.out.ndim - 2)  # sizes start at the last axis; the channels' pair is here
    low, high = sizes[first : first + 2] if len(sizes) > first else (0, 0)
    if isinstance(low, Count) or isinstance(high, Count) or min(low, high) < 0:
        return fix(op, f"`{op.node.name}` pads or cuts its channels to a fixed number")
    if not low and not high:
        return spread(atoms, 1, op.out.shape)
    zero = blank(op, torch.Size([1]), f"`{op.node.name}` adds constant channels to it").numpy()
    atoms = np.concatenate([np.repeat(zero, low), atoms, np.repeat(zero, high)])
    return spread(atoms, 1, op.out.shape)

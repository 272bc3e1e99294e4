"""Operations that move data. They are run on the labels themselves, so their effect is exact.

What is left to prove is that the same call still fits when channels are gone: a size, an index or
a cut written as a constant would not.
"""

from __future__ import annotations

from collections.abc import Callable

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
    told,
    unite,
    varying,
)
from prunelab.groups.rules import unknown


def move(op: Op) -> object:
    """flatten, permute, transpose, unsqueeze, ..."""
    call = op.node.target if op.node.op == "call_function" else method(op.name)
    labels = (op.module or call)(*labels_of(op.args), **labels_of(op.kwargs))
    for out in pytree.tree_leaves(labels):
        if len(varying(out)) > 1 and len(varying(op.x.labels)) < 2:
            return fix(op, f"`{op.node.name}` splits its channels over two axes (a shuffle)")
    return labels


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
    if len(sizes) != op.out.ndim or len(op.tracked) > 1 + (op.name == "expand_as"):
        return settled(op, unknown)
    grow = op.name in {"expand", "expand_as"}
    labels = op.x.labels.expand(op.out.shape) if grow else op.x.labels.reshape(op.out.shape)
    if len(varying(labels)) > 1:
        why = f"`{op.node.name}` splits its channels over two axes (a shuffle)"
        return settled(op, lambda op: fix(op, why))
    for axis, size in enumerate(sizes):
        if isinstance(size, Count) and not _fits(op, size, labels, axis):
            return settled(op, lambda op: fix(op, f"`{op.node.name}` takes the size of another"))
        if isinstance(size, int) and size > 1 and axis in varying(labels):
            return fix(op, f"`{op.node.name}` has the constant size {size} (try flatten(1))")
    return labels


def settled(op: Op, rule: Callable[[Op], object]) -> object:
    """What a rule gives that does not follow the widths among its arguments."""
    for count in op.counts:
        count.settle(
            op.evidence, told(op, f"`{op.node.name}` computes with the number of its channels")
        )
    return rule(op)


def _fits(op: Op, count: Count, labels: Tensor, axis: int) -> bool:
    """Whether a width stays the length of this axis of the labels."""
    atoms = along(labels, axis)
    return atoms is not None and count.follows(op.evidence, atoms)


def select(op: Op) -> object:
    """Indexing and splitting: fine over pixels; a constant part of the channels would shift."""
    rest = pytree.tree_leaves((op.args[1:], op.kwargs))
    if len(op.tracked) > 1 or any(isinstance(a, Parameter | Tensor) for a in rest):
        return settled(op, unknown)
    dims = varying(op.x.labels)
    if op.name == "split" and _dim(op) in dims and _is_share(op):
        return chunk(op)  # x.split(x.shape[1] // 2, 1)
    return settled(op, _select)


def _is_share(op: Op) -> bool:
    """Whether `split` cuts its own channels into equal parts by their number."""
    count, atoms = op.args[1], along(op.x.labels, _dim(op))
    if not isinstance(count, Count) or atoms is None or count.reads or count.share is None:
        return False
    same = np.array_equal(np.sort(count.atoms), np.sort(atoms))
    return same and count.share * len(op.out) == 1


def _select(op: Op) -> object:
    if op.name == "getitem":
        index = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
        if any(isinstance(i, list) for i in index):
            return fix(op, f"`{op.node.name}` picks its channels by a list of positions")
    elif _dim(op) in varying(op.x.labels):
        return fix(op, f"`{op.node.name}` takes a fixed part of its channels")
    labels = move(op)
    entering = len(np.unique(thin(op.x.labels).numpy()))
    for out in pytree.tree_leaves(labels):
        if len(np.unique(thin(out).numpy())) != entering:
            return fix(op, f"`{op.node.name}` takes a fixed part of its channels")
    return labels


def _dim(op: Op) -> int:
    """The axis that split, chunk, narrow, select or unbind works along."""
    place = 2 if op.name in {"split", "chunk"} else 1
    dim = op.args[place] if len(op.args) > place else op.kwargs.get("dim", 0)
    return dim % op.x.meta.ndim


def chunk(op: Op) -> object:
    """Equal parts stay equal only if they lose the same channels."""
    if op.name != "split":  # a number of parts, or of channels in each, that is another width
        parts = settled(op, move)
    else:
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

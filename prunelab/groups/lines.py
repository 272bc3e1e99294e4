"""Operations along axes: sums, softmax, sorting. Over pixels the channels stay apart."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.utils import _pytree as pytree

from prunelab.groups.labels import Op, Parameter, Tracked, fix, varying
from prunelab.groups.meeting import elementwise
from prunelab.groups.rules import across, counts

# Where the axes stand among the arguments, if not second; and which they are if none is named.
PLACE = dict.fromkeys(
    "norm normalize roll topk kthvalue quantile nanquantile linalg_norm vector_norm "
    "linalg_vector_norm diff rot90".split(),
    2,
)
DEFAULT = {"normalize": 1} | dict.fromkeys("sort argsort topk kthvalue mode diff".split(), -1)


def lines(op: Op) -> object:
    """mean, amax, softmax, cumsum, sort, flip, ...: along the axes that are named."""
    if op.module is not None:
        named = getattr(op.module, "dim", None)
    else:
        place = PLACE.get(op.name, 1)
        named = next((op.kwargs[k] for k in ("dim", "dims", "axis") if k in op.kwargs), None)
        if named is None:
            named = op.args[place] if len(op.args) > place else DEFAULT.get(op.name)
            several = op.name == "flip" and len(op.args) > 2  # x.flip(2, 3)
            named = op.args[1:] if several else named
    other = any(isinstance(a, Parameter) for a in pytree.tree_leaves((op.args, op.kwargs)))
    if named is None or isinstance(named, bool) or other:  # std(x, False) is over everything
        return across(op)
    return along_axes(op, named if isinstance(named, tuple | list) else [named])


def along_axes(op: Op, axes: Iterable[int]) -> object:
    """The channels stay apart unless they stand on one of the axes."""
    if counts(op):
        return fix(op, f"`{op.node.name}` computes with the number of its channels")
    whole = op.x.meta.ndim
    dims = {d % whole for d in axes}
    if not dims or dims & set(varying(op.x.labels)) or len(op.tracked) > 1:
        return across(op)
    labels = op.x.labels
    for d in dims:
        labels = labels.narrow(d, 0, 1)
    fewer = labels.squeeze(tuple(sorted(dims)))
    leaves = [o for o in pytree.tree_leaves(op.out) if isinstance(o, Tensor)]
    if any(o.ndim not in (whole, fewer.ndim) for o in leaves):
        return across(op)
    return pytree.tree_map(lambda o: (labels if o.ndim == whole else fewer).expand(o.shape), op.out)


def last_axes(op: Op) -> object:
    """Layer norm and RMS norm: along as many axes from the end as their shape has."""
    args = op.args[1:2] or (op.kwargs.get("normalized_shape"),)
    shape = op.module.normalized_shape if op.module is not None else args[0]
    return along_axes(op, range(-len(shape), 0))


def triangle(op: Op) -> object:
    """tril, triu: entries of the last two axes become zero."""
    return along_axes(op, (-2, -1))


def extreme(op: Op) -> object:
    """max, min: of two operands, or along an axis."""
    two = any(isinstance(a, Tracked | Tensor) for a in op.args[1:2]) or "other" in op.kwargs
    return (elementwise if two or len(op.tracked) > 1 else lines)(op)

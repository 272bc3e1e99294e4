"""Operations along axes: sums, softmax, sorting. Over pixels the channels stay apart."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.utils import _pytree as pytree

from prunelab.groups.labels import narrowed, varying
from prunelab.groups.meeting import elementwise
from prunelab.groups.operation import Op
from prunelab.groups.rules import across
from prunelab.groups.values import Tracked

# Where the axes stand among the arguments, if not second; and which they are if none is named.
PLACE = dict.fromkeys(
    "norm normalize roll topk kthvalue quantile nanquantile linalg_norm vector_norm "
    "linalg_vector_norm diff rot90".split(),
    2,
)
DEFAULT = {"normalize": 1} | dict.fromkeys("sort argsort topk kthvalue mode diff".split(), -1)


def over_axes(op: Op) -> object:
    """mean, amax, softmax, cumsum, sort, flip, ...: along the axes that are named."""
    if op.module is not None:
        named = getattr(op.module, "dim", None)
    else:
        named = op.argument("dim dims axis", PLACE.get(op.name, 1), DEFAULT.get(op.name))
        if op.name == "flip" and len(op.args) > 2:  # x.flip(2, 3)
            named = op.args[1:]
    if named is None or isinstance(named, bool) or op.parameters:  # std(x, False): over everything
        return across(op)
    return along_axes(op, named if isinstance(named, tuple | list) else [named])


def along_axes(op: Op, axes: Iterable[int]) -> object:
    """The channels stay apart unless they stand on one of the axes."""
    if op.counts:
        return op.fix_counted()
    whole, labels = op.x.meta.ndim, op.x.labels
    dims = {d % whole for d in axes}
    if not dims or dims & set(varying(labels)) or len(op.tracked) > 1:
        return across(op)
    labels = narrowed(labels, dims)
    fewer = labels.squeeze(tuple(sorted(dims)))
    leaves = [o for o in pytree.tree_leaves(op.out) if isinstance(o, Tensor)]
    if any(o.ndim not in (whole, fewer.ndim) for o in leaves):
        return across(op)
    return pytree.tree_map(lambda o: (labels if o.ndim == whole else fewer).expand(o.shape), op.out)


def last_axes(op: Op) -> object:
    """Layer norm and RMS norm: along as many axes from the end as their shape has."""
    shape = getattr(op.module, "normalized_shape", None) or op.argument("normalized_shape", 1)
    return along_axes(op, range(-len(shape), 0))


def triangle(op: Op) -> object:
    """tril, triu: entries of the last two axes become zero."""
    return along_axes(op, (-2, -1))


def extreme(op: Op) -> object:
    """max, min: of two operands, or along an axis."""
    two = any(isinstance(a, Tracked | Tensor) for a in op.args[1:2]) or "other" in op.kwargs
    return (elementwise if two or len(op.tracked) > 1 else over_axes)(op)

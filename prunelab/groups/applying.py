"""Running one node on shapes: what comes out, with its labels, by rule.

Whatever reads a tensor of the network must say which of its axes carry which channels, and whatever
uses a width must follow it. Where a rule does not, the channels there are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.groups import table
from prunelab.groups.blocks import sample
from prunelab.groups.evidence import Evidence
from prunelab.groups.labels import (
    Count,
    Names,
    Op,
    Parameter,
    Tracked,
    along,
    fix,
    metas,
    method,
    numbers,
    thin,
    told,
    varying,
)
from prunelab.groups.lines import extreme, last_axes
from prunelab.groups.meeting import concatenate, elementwise, move_parameter, stack
from prunelab.groups.movement import reshape, select
from prunelab.groups.rules import across, functional, keep, per_channel, plain, unknown
from prunelab.groups.spots import here
from prunelab.groups.values import FollowError

# Rules that see to the network's own tensors among their arguments.
TAKE_TENSORS = (
    elementwise,
    concatenate,
    stack,
    extreme,
    sample,
    functional,
    per_channel,
    across,
    last_axes,
)
ABOUT = "dtype device requires_grad is_cuda layout is_floating_point is_complex training".split()


def apply(
    node: fx.Node,
    args: tuple,
    kwargs: dict,
    module: nn.Module | None,
    names: Names,
    known: Evidence,
) -> object:
    """Run one node on meta tensors and give its output labels by rule."""
    name, call = _called(node, module)
    if isinstance(call, type):  # a named tuple or a dataclass of outputs
        return args, kwargs
    if name in ("getitem", "getattr") and not isinstance(args[0], Tracked | Parameter | Count):
        return call(args[0], *metas(args[1:]))
    if name in table.RESHAPING:
        raise FollowError(f"`{name}` changes a shape in place (try {plain(name)}){here()}")
    rule = table.rule_of(module) if module is not None else table.rule_of_function(node.op, name)
    name = args[1] if name == "getattr" else name
    same_shape = module is not None and rule in (keep, per_channel)
    if same_shape and len(args) == 1 and isinstance(args[0], Tracked):
        out = args[0].meta  # saves a good part of the time: these are half of all layers
    else:
        out = call(*metas(args), **metas(kwargs))
    op = Op(node, name, module, args, kwargs, out, names, known)
    if not any(isinstance(o, Tensor) for o in pytree.tree_leaves(out)):
        return _counted(op)
    known.touched.clear()
    if rule not in TAKE_TENSORS and any(p.meta.numel() > 1 for p in op.parameters):
        rule = unknown
    made = module is None and name.startswith("new_")  # x.new_zeros(...): x gives no values
    follows = op.tracked and not made
    given = (rule or unknown)(op) if follows else None
    loose = [c for c in op.counts if not _followed(op, rule, c, given)]
    _settle(op, f"`{node.name}` computes with the number of its channels", loose)
    value = pytree.tree_map(_tracked, out, given) if follows else _untracked(op)
    _account(op)
    return value


def _settle(op: Op, why: str, counts: list[Count] | None = None) -> None:
    for count in op.counts if counts is None else counts:
        count.settle(op.evidence, told(op, why))


def _followed(op: Op, rule: Callable | None, count: Count, given: object) -> bool:
    """Whether a width among the arguments stays right when channels go.

    It does as the size of an axis on which as many channels stand after a `view`, and where a
    `split` cuts its own channels into equal parts.
    """
    if rule is reshape and isinstance(given, Tensor):
        sizes = pytree.tree_leaves(op.args[1:])
        places = [d for d, size in enumerate(sizes) if size is count]
        if len(sizes) != given.ndim or len(places) != 1 or places[0] not in varying(given):
            return False
        atoms = along(given, places[0])
        return atoms is not None and count.follows(op.evidence, atoms)
    if rule is not select or not isinstance(given, tuple | list):
        return False
    own = np.sort(np.unique(thin(op.x.labels).numpy()))
    return np.array_equal(np.sort(count.atoms), own) and count.share == Fraction(1, len(given))


def _called(node: fx.Node, module: nn.Module | None) -> tuple[str, Callable]:
    if module is not None:
        return node.target, module
    if node.op == "call_method":
        return node.target, method(node.target)
    return getattr(node.target, "__name__", str(node.target)), node.target


def _tracked(out: object, labels: Tensor | None) -> object:
    return Tracked(out, labels) if isinstance(out, Tensor) else out


def _account(op: Op) -> None:
    """The axes of the network's tensors that the rule did not see are read as a whole."""
    for name, axis in _read(op):
        if (name, axis) not in op.evidence.touched:
            op.evidence.whole(name, axis, told(op, f"`{name}` is read by `{op.node.name}`"))


def _read(op: Op) -> Iterator[tuple[str, int]]:
    """(tensor, axis) that an operation reads."""
    if op.module is not None:
        for t in [*op.module.parameters(), *op.module.buffers()]:
            if t in op.names:
                name = op.names.of(t, "")
                yield from ((name, d) for d, n in enumerate(t.shape) if n > 1)
    for p in op.parameters:
        yield from ((p.name, a) for a, n in zip(p.axes, p.meta.shape) if n > 1 and a is not None)


def _counted(op: Op) -> object:
    """Sizes and arithmetic on them: numbers that depend on a width are marked as `Count`."""
    out, counts = op.out, op.counts
    if op.name in ABOUT or not (op.tracked or op.parameters or counts):
        return out
    if op.name == "size":
        return size(op.args[0], op.args[1])
    plain = all(isinstance(o, int | float) for o in pytree.tree_leaves(out))
    listed = counts and isinstance(out, tuple | list)  # [1] * x.shape[1]: its length is a width
    if out is None or listed or not plain:
        why = f"`{op.node.name}` is not an operation that prunelab knows"
        fix(op, why)
        _settle(op, why)
        _account(op)
        return out
    atoms = [c.atoms for c in counts] + [np.unique(thin(x.labels).numpy()) for x in op.tracked]
    reads = {r for c in counts for r in c.reads} | set(_read(op))
    atoms = np.concatenate([np.zeros(0, np.int64), *atoms])
    share = _share(op, counts)
    return pytree.tree_map(lambda n: Count(n, atoms, share, frozenset(reads)), out)


def size(x: Tracked | Parameter, axis: int) -> int | Count:
    """The length of one axis: a `Count` where pruning changes it."""
    axis %= x.meta.ndim
    n = x.meta.shape[axis]
    if isinstance(x, Parameter):
        source = x.axis(axis)
        read = frozenset() if source is None else frozenset([(x.name, source)])
        return Count(n, np.zeros(0, np.int64), None, read) if read and n > 1 else n
    if axis not in varying(x.labels):
        return n
    atoms = along(x.labels, axis)
    if atoms is None:
        return Count(n, np.unique(thin(x.labels).numpy()))
    return Count(n, atoms, Fraction(1))


def _share(op: Op, counts: list[Count]) -> Fraction | None:
    """What share of the positions a product or quotient of a width with plain numbers is."""
    if op.name in ("numel", "nelement") and op.tracked and len(varying(op.x.labels)) == 1:
        return Fraction(op.out, op.x.meta.shape[varying(op.x.labels)[0]])
    others = [a for a in numbers(op.args, op.kwargs) if not isinstance(a, Count)]
    if len(counts) != 1 or counts[0].share is None or any(type(a) is not int for a in others):
        return None
    if op.name in ("mul", "imul", "prod"):
        return counts[0].share * math.prod(others)
    whole = others and op.args[0] is counts[0] and others[0] and counts[0].meta % others[0] == 0
    return counts[0].share / others[0] if whole and op.name in ("floordiv", "truediv") else None


def _untracked(op: Op) -> object:
    """Constants, and arithmetic on parameters."""
    op.out = pytree.tree_map(lambda o: o.to("meta") if isinstance(o, Tensor) else o, op.out)
    if isinstance(op.out, Tensor) and len(op.parameters) == 1 and op.module is None:
        return move_parameter(op)
    return pytree.tree_map(
        lambda o: Parameter(o, f"{op.name}()") if isinstance(o, Tensor) else o, op.out
    )

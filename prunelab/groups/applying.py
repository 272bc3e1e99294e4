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

from prunelab.groups import meeting, movement, rules, table
from prunelab.groups.evidence import Evidence
from prunelab.groups.labels import along, atoms_in, spread, varying
from prunelab.groups.operation import Names, Op, leaves_of, metas, method
from prunelab.groups.operators import RESHAPING, plain
from prunelab.groups.source_lines import here
from prunelab.groups.values import ChannelCount, FollowError, Parameter, Tracked

# Rules that see to the network's own tensors among their arguments.
TAKE_TENSORS = frozenset(
    "elementwise concatenate stack extreme sample functional per_channel across last_axes".split()
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
    if name in ("getitem", "getattr") and not isinstance(
        args[0], Tracked | Parameter | ChannelCount
    ):
        return call(args[0], *metas(args[1:]))
    if name in RESHAPING:
        raise FollowError(f"`{name}` changes a shape in place (try {plain(name)}){here()}")
    rule = table.rule_of(module) if module is not None else table.rule_of_function(node.op, name)
    same_shape = module is not None and rule in (rules.entrywise, rules.per_channel)
    if same_shape and len(args) == 1 and isinstance(args[0], Tracked):
        out = args[0].meta  # saves a good part of the time: these are half of all layers
    else:
        out = call(*metas(args), **metas(kwargs))
    name = args[1] if name == "getattr" else name
    op = Op(node, name, module, args, kwargs, out, names, known)
    if not any(isinstance(o, Tensor) for o in pytree.tree_leaves(out)):
        return _counted(op)
    return _followed(op, rule or rules.unknown)


def _called(node: fx.Node, module: nn.Module | None) -> tuple[str, Callable]:
    if module is not None:
        return node.target, module
    if node.op == "call_method":
        return node.target, method(node.target)
    return getattr(node.target, "__name__", str(node.target)), node.target


def _followed(op: Op, rule: table.Rule) -> object:
    """The output of an operation on tensors, with labels where activations enter."""
    op.evidence.touched.clear()
    if rule.__name__ not in TAKE_TENSORS and any(p.several for p in op.parameters):
        rule = rules.unknown
    made = op.module is None and op.name.startswith("new_")  # x.new_zeros(...): no value of x
    labels = rule(op) if op.tracked and not made else None
    loose = [count for count in op.counts if not _stays_right(op, rule, count, labels)]
    _settle(op, loose, f"{op.call} computes with the number of its channels")
    if labels is None:
        value = _untracked(op)
    else:
        value = pytree.tree_map(
            lambda o, found: Tracked(o, found) if isinstance(o, Tensor) else o, op.out, labels
        )
    _account(op)
    return value


def _settle(op: Op, counts: list[ChannelCount], why: str) -> None:
    for count in counts:
        count.settle(op.evidence, op.told(why))


def _stays_right(op: Op, rule: table.Rule, count: ChannelCount, labels: object) -> bool:
    """Whether a width among the arguments stays right when channels go.

    It does as the size of an axis on which as many channels stand after a `view`, and where a
    `split` cuts its own channels into equal parts.
    """
    if rule is movement.reshape and isinstance(labels, Tensor):
        sizes = pytree.tree_leaves(op.args[1:])
        places = [d for d, size in enumerate(sizes) if size is count]
        if len(sizes) != labels.ndim or len(places) != 1 or places[0] not in varying(labels):
            return False
        atoms = along(labels, places[0])
        return atoms is not None and count.follows(op.evidence, atoms)
    if rule is not movement.select or not isinstance(labels, tuple | list):
        return False
    own = atoms_in(op.x.labels)
    return np.array_equal(np.sort(count.atoms), own) and count.share == Fraction(1, len(labels))


def _account(op: Op) -> None:
    """The axes of the network's tensors that the rule did not see are read as a whole."""
    for name, axis in _read(op):
        if (name, axis) not in op.evidence.touched:
            op.evidence.whole(name, axis, op.told(f"`{name}` is read by {op.call}"))


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
    """Sizes and arithmetic on them: numbers that depend on a width become a `ChannelCount`."""
    out, counts = op.out, op.counts
    if op.name in ABOUT or not (op.tracked or op.parameters or counts):
        return out
    if op.name == "size":
        return size(op.args[0], op.args[1])
    numbers = all(isinstance(o, int | float) for o in pytree.tree_leaves(out))
    listed = counts and isinstance(out, tuple | list)  # [1] * x.shape[1]: its length is a width
    if out is None or listed or not numbers:
        why = f"{op.call} is not an operation that prunelab knows"
        op.fix(why)
        _settle(op, counts, why)
        _account(op)
        return out
    atoms = [c.atoms for c in counts] + [atoms_in(x.labels) for x in op.tracked]
    atoms = np.concatenate([np.zeros(0, np.int64), *atoms])
    reads = frozenset(_read(op)).union(*(c.reads for c in counts))
    share = _share(op, counts)
    return pytree.tree_map(lambda n: ChannelCount(n, atoms, share, reads), out)


def size(x: Tracked | Parameter, axis: int) -> int | ChannelCount:
    """The length of one axis: a `ChannelCount` where pruning changes it."""
    axis %= x.meta.ndim
    n = x.meta.shape[axis]
    if isinstance(x, Parameter):
        source = x.axis(axis)
        if source is None or n == 1:
            return n
        return ChannelCount(n, np.zeros(0, np.int64), None, frozenset([(x.name, source)]))
    if axis not in varying(x.labels):
        return n
    atoms = along(x.labels, axis)
    if atoms is None:
        return ChannelCount(n, atoms_in(x.labels))
    return ChannelCount(n, atoms, Fraction(1))


def _share(op: Op, counts: list[ChannelCount]) -> Fraction | None:
    """What share of the positions a product or quotient of a width with plain numbers is."""
    if op.name in ("numel", "nelement") and op.tracked and len(varying(op.x.labels)) == 1:
        return Fraction(op.out, op.x.meta.shape[varying(op.x.labels)[0]])
    others = [a for a in op.leaves if not isinstance(a, ChannelCount)]
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
        return meeting.move_parameter(op)
    return pytree.tree_map(
        lambda o: Parameter(o, f"{op.name}()") if isinstance(o, Tensor) else o, op.out
    )


def network_input(evidence: Evidence, x: Tensor, name: str) -> Tracked:
    """The input's channels: never pruned."""
    axis = min(1, x.ndim - 1)
    atoms = evidence.atoms(("input", name), x.shape[axis] if axis else 1)
    evidence.fix(atoms, "it is the network's input")
    return Tracked(x, spread(atoms, axis, x.shape))


def network_output(evidence: Evidence, outputs: object) -> None:
    """The output's channels: never pruned."""
    for out in leaves_of(outputs):
        if isinstance(out, Tracked):
            evidence.fix(atoms_in(out.labels), "it is the network's output")
        elif isinstance(out, ChannelCount):
            out.settle(evidence, "the number of its channels is in the network's output")
        elif isinstance(out, Parameter):
            for axis in filter(lambda a: a is not None, out.axes):
                evidence.whole(out.name, axis, f"`{out.name}` is in the network's output")

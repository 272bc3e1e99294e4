"""One operation of a network: it runs on meta tensors, and a rule labels its output."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from prunelab.groups.evidence import Evidence
from prunelab.groups.labels import Count, Names, Op, Parameter, Tracked, metas, method, varying
from prunelab.groups.meeting import move_parameter
from prunelab.groups.rules import keep, per_channel, plain, unknown
from prunelab.groups.table import RESHAPING, rule_of, rule_of_function


def apply(
    node: fx.Node, args: tuple, kwargs: dict, modules: dict, names: Names, evidence: Evidence
) -> object:
    """Run one node on meta tensors and give its output labels by rule."""
    module = modules.get(node.target) if node.op == "call_module" else None
    name = node.target if isinstance(node.target, str) else _name(node.target)
    call = module
    if call is None:
        call = node.target if node.op == "call_function" else method(node.target)
    if isinstance(call, type) and issubclass(call, tuple):  # a named tuple of outputs
        return args
    if name == "getitem" and isinstance(args[0], tuple | list):
        return args[0][metas(args[1])]
    if name == "getattr" and isinstance(args[0], tuple):  # x.max(2).values
        return getattr(args[0], args[1])
    if name in RESHAPING:
        raise ValueError(f"it changes a shape in place (try {plain(name)})")
    rule = rule_of(module) if module is not None else rule_of_function(node.op, name)
    same_shape = module is not None and rule in (keep, per_channel)
    if same_shape and len(args) == 1 and isinstance(args[0], Tracked):
        out = args[0].meta  # saves a good part of the time: these are half of all layers
    else:
        out = _run(call, args, kwargs)
    op = Op(node, name, module, args, kwargs, out, names, evidence)
    if not any(isinstance(o, Tensor) for o in pytree.tree_leaves(out)):
        return _counted(op)
    if not op.tracked:
        return _untracked(op)
    return pytree.tree_map(_tracked, out, (rule or unknown)(op))


def _run(call: Callable, args: tuple, kwargs: dict) -> object:
    """The operation itself, on shapes. ValueError where its result depends on the numbers."""
    try:
        with torch.no_grad():
            return call(*metas(args), **metas(kwargs))
    except (RuntimeError, NotImplementedError) as error:
        if "meta" not in str(error).lower():
            raise
        raise ValueError(
            "its result depends on more than shapes, so it cannot be followed"
        ) from error


def _tracked(out: object, labels: Tensor | None) -> object:
    return Tracked(out, labels) if isinstance(out, Tensor) else out


def _counted(op: Op) -> object:
    """Sizes and arithmetic on them: numbers that depend on a width are marked as `Count`."""
    out = op.out
    if op.tracked and isinstance(out, torch.Size):
        axes = varying(op.x.labels)
        return tuple(Count(n) if d in axes else n for d, n in enumerate(out))
    if op.tracked and op.name == "size":
        dim = op.args[1] if len(op.args) > 1 else op.kwargs["dim"]
        return Count(out) if dim % op.x.meta.ndim in varying(op.x.labels) else out
    counts = any(isinstance(a, Count) for a in pytree.tree_leaves((op.args, op.kwargs)))
    counts = counts or op.name == "numel"
    return Count(out) if counts and isinstance(out, int | float) else out


def _untracked(op: Op) -> object:
    """Constants, and arithmetic on parameters."""
    if not isinstance(op.out, Tensor):
        return op.out
    op.out = op.out.to("meta")
    if any(isinstance(a, Parameter) for a in pytree.tree_leaves((op.args, op.kwargs))):
        return move_parameter(op)
    return Parameter(op.out, op.node.name)


def _name(function: Callable) -> str:
    return getattr(function, "__name__", str(function))

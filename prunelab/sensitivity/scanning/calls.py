"""Calls: what a node of a network's graph does in a replay, where nothing may be written over.

The exception pays: an activation or an addition may overwrite a value that nobody else reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from prunelab.sensitivity.scanning.folding import CONVS, NORMS
from prunelab.sensitivity.scanning.watching import Watched, attribute, written


def plus(x: object, y: object) -> object:
    """`x += y` as a new value, of the type of `x`."""
    out = operator.add(x, y)
    return out.to(x.dtype) if isinstance(x, Tensor) and isinstance(out, Tensor) else out


RELUS = (nn.ReLU, functional.relu, torch.relu, "relu", torch.relu_, "relu_", functional.relu_)
ADDS = (operator.add, torch.add, plus)
FRESH = (*CONVS, *NORMS, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d)
NEW_VALUE = {  # what writes in place -> the same as a new value
    operator.iadd: plus,
    torch.relu_: torch.relu,
    functional.relu_: torch.relu,
    "relu_": torch.relu,
}


def call_of(node: fx.Node, net: nn.Module, seen: Watched) -> object:
    """What a node calls: a module, a function; or the value of an attribute.

    Args:
        node: of the graph.
        net: whose modules are called; none of them writes in place.
        seen: what was seen of the node.
    """
    if node.op == "get_attr":
        return attribute(node.target, net, seen.constants)
    call = net.get_submodule(node.target) if node.op == "call_module" else node.target
    pure = node.op == "call_module" and hasattr(call, "inplace")
    alone = node in seen.writes and node not in seen.gives
    if alone and node.target in NEW_VALUE and len(node.args) == len(node.all_input_nodes):
        return NEW_VALUE[node.target]
    if node.op == "call_method":
        call = _method(node.target)
    if node in seen.writes and not pure:
        return unwritten(call, seen.writes[node], node in seen.gives)
    return call


def _method(name: str) -> Callable:
    """A method as a function. A view is taken of any memory: a convolution's is channels-last."""
    if name == "view":
        return _view
    if name == "view_as":
        return lambda x, other: x.reshape(other.shape)
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def _view(x: Tensor, *shape: object, **kwargs: object) -> Tensor:
    another = kwargs or isinstance(shape[0], torch.dtype)
    return x.view(*shape, **kwargs) if another else x.reshape(*shape)


def unwritten(call: Callable, positions: list[int], gives: bool) -> Callable:
    """`call` on copies of what it writes.

    Args:
        call: the operation.
        positions: of its arguments' leaves, those that it writes.
        gives: the written one is the result.
    """

    def run(*args: object, **kwargs: object) -> object:
        leaves, spec = pytree.tree_flatten((args, kwargs))
        for i in positions:
            leaves[i] = leaves[i].clone()
        args, kwargs = pytree.tree_unflatten(leaves, spec)
        out = call(*args, **kwargs)
        return leaves[written(positions, kwargs)[0]] if gives else out

    return run


def apply(call: object, args: tuple, kwargs: dict, spare: int | None) -> object:
    """The operation itself, written over the spare argument where that gives the same."""
    if spare is None or (kwargs and kwargs != {"inplace": False}):
        return call(*args, **kwargs)
    x, y = args[spare], args[1 - spare] if len(args) > 1 else None
    if not isinstance(x, Tensor):
        return call(*args)
    if call not in ADDS:
        return torch.relu_(x)
    same = isinstance(y, Tensor) and x.shape == y.shape and x.dtype == y.dtype
    return x.add_(y) if same else call(*args)


def overwritable(call: object, target: object) -> bool:
    """Whether `apply` knows how to overwrite."""
    return type(call) in RELUS or call in RELUS or call in ADDS or target in RELUS

"""Calls: what a node of a network's graph does in a replay, where nothing may be overwritten."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.sensitivity.scanning.watching import Watched, attribute, written


def call_of(node: fx.Node, net: nn.Module, seen: Watched) -> object:
    """What a node calls: a module or a function; or the value of an attribute.

    Args:
        node: of the graph.
        net: its modules are called; none of them writes in place.
        seen: the run that showed what the node writes.
    """
    if node.op == "get_attr":
        return attribute(node.target, net, seen.constants)
    call = net.get_submodule(node.target) if node.op == "call_module" else node.target
    pure = node.op == "call_module" and hasattr(call, "inplace")  # it is not, in `net`
    if node.op == "call_method":
        call = _method(node.target)
    if node in seen.writes and not pure:
        return unwritten(call, seen.writes[node], node in seen.gives)
    return call


def _method(name: str) -> Callable:
    """A method as a function. `view` must work on the channels-last memory of a convolution too."""
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
        positions: the leaves of its arguments that it writes.
        gives: the result is what was written, not what `call` returns.
    """

    def run(*args: object, **kwargs: object) -> object:
        leaves, spec = pytree.tree_flatten((args, kwargs))
        for i in positions:
            leaves[i] = leaves[i].clone()
        args, kwargs = pytree.tree_unflatten(leaves, spec)
        out = call(*args, **kwargs)
        return leaves[written(positions, kwargs)[0]] if gives else out

    return run

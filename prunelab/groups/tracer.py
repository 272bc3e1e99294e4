"""Tracing with torch.fx beside other threads.

While fx traces, its own code stands in the place of `nn.Module.__call__` and `__getattr__`, for
every thread of the process. Here one trace waits for another, and what other threads call goes on
as ever: widgets measure in the background while somebody works in the notebook.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from torch import fx, nn

from prunelab.groups import table


class Tracer(fx.Tracer):
    """Follows a network, leaving alone the modules that have a rule of their own."""

    _one_at_a_time = threading.RLock()

    def trace(self, root: nn.Module, concrete_args: dict | None = None) -> fx.Graph:
        """The graph of `root`."""
        with self._one_at_a_time:
            self._thread = threading.get_ident()
            return super().trace(root, concrete_args)

    def is_leaf_module(self, m: nn.Module, qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return table.rule_of(m) is not None or super().is_leaf_module(m, qualified_name)

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> object:
        """What a call of a module gives: a node while it is traced."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: object, parameter_proxy_cache: dict) -> object:
        """What an attribute of a module is: a node where it is a parameter that is traced."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def graph_of(net: nn.Module, caller: str = "trace") -> tuple[fx.Graph, dict[str, nn.Module]]:
    """The graph of a network, and the modules that its nodes call.

    Raises:
        ValueError: torch.fx cannot follow it.
    """
    try:
        graph = Tracer().trace(net)
    except Exception as error:  # fx raises whatever the network's own code raises on a proxy
        raise ValueError(
            f"{caller}: torch.fx cannot follow `net` ({type(net).__name__}): {first_line(error)}"
        ) from error
    modules = {n.target: net.get_submodule(n.target) for n in graph.nodes if n.op == "call_module"}
    return graph, modules


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).strip().split("\n")[0] or type(error).__name__

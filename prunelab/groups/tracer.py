"""Tracing with torch.fx, on shapes, beside other threads.

Each node is run on shapes and labels as soon as it is made (`applying`), so the network's own code
can ask for sizes, lengths and parts (`proxies`).

While fx traces, its own code stands in the place of `nn.Module.__call__` and `__getattr__`, for
every thread of the process. Here one trace waits for another, and what other threads call goes on
as ever: widgets measure in the background while somebody works in the notebook.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from operator import attrgetter

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab import meta
from prunelab.groups import applying, table
from prunelab.groups.evidence import Evidence
from prunelab.groups.operation import Names
from prunelab.groups.proxies import SizeTuple, Value
from prunelab.groups.recording import Recording, assigning
from prunelab.groups.source_lines import boundary, here
from prunelab.groups.values import FollowError


class Tracer(fx.Tracer):
    """Follows a network, leaving alone the modules that have a rule of their own.

    The network gets `args` and `kwargs`, their tensors as shapes. `ill_fitting` makes an error of
    what an operation raised at a node.

    Attributes:
        env: node -> what it gave.
        sizes: whether the network's code read a size.
    """

    _one_at_a_time = threading.RLock()

    def __init__(self, evidence: Evidence, args: tuple, kwargs: dict, ill_fitting: Callable):
        super().__init__()
        self.evidence, self.given, self.ill_fitting = evidence, (args, kwargs), ill_fitting
        self.env: dict[fx.Node, object] = {}
        self.sizes = False
        self.busy = False
        self._shapes: dict[fx.Node, SizeTuple] = {}

    def trace(self, root: nn.Module, concrete_args: dict | None = None) -> fx.Graph:
        """The graph of `root`."""
        with self._one_at_a_time, assigning():
            self._thread = threading.get_ident()
            self.names = Names(root)
            tensors = meta.attributes(root) | self.names.tensors
            self._alive = list(tensors.values())  # so that no other tensor gets the id of one
            self.own, self._held = {id(t): name for name, t in tensors.items()}, {}
            with Recording(self):
                return super().trace(root, concrete_args)

    def create_args_for_root(
        self, root_fn: Callable, is_module: bool, concrete_args: object = None
    ) -> tuple[Callable, list]:
        """Placeholders for the tensors that are given; what else is given, and defaults, stays."""
        (args, kwargs), forward = self.given, self.root.forward
        try:
            bound = inspect.signature(forward).bind(*args, **kwargs)
        except TypeError as error:
            raise FollowError(f"`example` does not give its arguments: {error}") from error
        for name, value in bound.arguments.items():
            flat, spec = pytree.tree_flatten(value)
            for i, a in enumerate(flat):
                if isinstance(a, Tensor):
                    flat[i] = self._placeholder(name if a is value else f"{name}_{i}", a)
            bound.arguments[name] = pytree.tree_unflatten(flat, spec)

        @boundary
        def run() -> object:
            return forward(*bound.args, **bound.kwargs)

        return run, []

    def _placeholder(self, name: str, x: Tensor) -> Value:
        self._arriving = x
        return self.create_proxy("placeholder", name, (), {})

    def create_node(self, *args: object, **kwargs: object) -> fx.Node:
        """A node, run on shapes."""
        node = super().create_node(*args, **kwargs)
        busy, self.busy = self.busy, True
        try:
            with torch._C.DisableTorchFunction():  # of `Recording`: these are no calls of the net's
                self.env[node] = self._run(node)
        finally:
            self.busy = busy
        return node

    def _run(self, node: fx.Node) -> object:
        if node.op == "placeholder":
            return applying.network_input(self.evidence, self._arriving, node.name)
        if node.op == "get_attr":
            value = attrgetter(node.target)(self.root)
            return self.names.parameter(value, node.target) if isinstance(value, Tensor) else value
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.env.__getitem__)
        if node.op == "output":
            return applying.network_output(self.evidence, args)
        module = self.root.get_submodule(node.target) if node.op == "call_module" else None
        try:
            return applying.apply(node, args, kwargs, module, self.names, self.evidence)
        except FollowError:
            raise
        except Exception as error:  # whatever torch raises on shapes that do not fit
            raise self.ill_fitting(node, error) from error

    def proxy(self, node: fx.Node) -> object:
        """What the network's code holds for a node: a number where that is all it can be."""
        value = self.env[node]
        if type(value) in (int, float):
            self.sizes = True
        if type(value) in (tuple, list, fx.immutable_collections.immutable_list):
            of = type(value) if type(value) is tuple else list
            return of(Value(node, self)[i] for i in range(len(value)))
        return value if value is None or isinstance(value, int | float) else Value(node, self)

    def shape(self, x: Value) -> SizeTuple:
        """The sizes of a tensor: numbers, and a `Value` for each width that pruning changes."""
        node, known, self.sizes = x.node, x.value, True
        if node not in self._shapes:
            self._shapes[node] = SizeTuple(
                self._size(node, d, applying.size(known, d)) for d in range(known.meta.ndim)
            )
        return self._shapes[node]

    def _size(self, node: fx.Node, axis: int, length: object) -> object:
        if isinstance(length, int):
            return length
        return Value(self.create_node("call_method", "size", (node, axis), {}), self)

    def create_arg(self, a: object) -> object:
        """What an operation is given, as the graph holds it."""
        if isinstance(a, SizeTuple):
            return tuple(map(self.create_arg, a))
        if isinstance(a, Tensor) and id(a) in self.own:
            return self.held(a).node
        try:
            return super().create_arg(a)
        except (NameError, NotImplementedError) as error:
            if isinstance(a, nn.Parameter):  # in a list, say: no tensor of the network's own
                return super().create_arg(a.detach())
            raise FollowError(
                f"an object of type {type(a).__name__} meets an activation or is returned{here()}"
            ) from error

    def held(self, tensor: Tensor) -> Value:
        """The network's own tensor, as its code holds it."""
        name = self.own[id(tensor)]
        if name not in self._held:
            self._held[name] = self.create_proxy("get_attr", name, (), {})
        return self._held[name]

    def is_leaf_module(self, m: nn.Module, qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return table.rule_of(m) is not None or super().is_leaf_module(m, qualified_name)

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> object:
        """What a call of a module gives: a node while it is traced."""
        if threading.get_ident() != self._thread or self.busy:
            return forward(*args, **kwargs)
        inner = meta.unwrap(m)
        if inner is not m:
            return inner(*args, **kwargs)
        if m not in self.submodule_paths:
            kind = type(m).__name__
            raise FollowError(f"it calls a {kind} that is no submodule of its own{here()}")
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: object, parameter_proxy_cache: dict) -> object:
        """What an attribute of a module is: a node where it is one of the network's tensors."""
        mine = threading.get_ident() == self._thread and not self.busy
        return self.held(attr_val) if mine and id(attr_val) in self.own else attr_val

"""Records what torch.fx misses: operations on the network's own tensors, and tensors of a size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode, is_tensor_method_or_property
from torch.utils import _pytree as pytree

from prunelab.groups.proxies import SizeTuple, Value

SIZED = set("zeros ones full empty eye arange linspace rand randn".split())
PYTHON = {"__hash__", "__repr__", "__str__", "__format__", "__set__"}  # nothing is computed


@contextmanager
def assigning() -> Iterator[None]:
    """A buffer may be assigned what was computed in its place, as in `self.grid = ...`."""
    assign = nn.Module.__setattr__

    def assigned(module: nn.Module, name: str, value: object) -> None:
        buffers = vars(module).get("_buffers", ())
        if isinstance(value, fx.Proxy) and name in buffers:
            buffers[name] = value
        else:
            assign(module, name, value)

    nn.Module.__setattr__ = assigned
    try:
        yield
    finally:
        nn.Module.__setattr__ = assign


class Recording(TorchFunctionMode):
    """Records what the network's code computes with its own tensors, and makes of a size."""

    def __init__(self, tracer: fx.Tracer):
        super().__init__()
        self.tracer = tracer

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        tracer, name = self.tracer, func.__name__
        args, kwargs = pytree.tree_map(_shape_as_tuple, (args, kwargs or {}))
        if name in ("tensor", "as_tensor") and not tracer.busy:  # they want numbers
            args = pytree.tree_map(lambda a: a.number() if isinstance(a, Value) else a, args)
        if tracer.busy or name in PYTHON or not self._mine(name, (args, kwargs)):
            return func(*args, **kwargs)
        if name == "__get__":
            return getattr(tracer.held(args[0]), func.__self__.__name__)
        kind = "call_method" if is_tensor_method_or_property(func) else "call_function"
        return tracer.create_proxy(kind, name if kind == "call_method" else func, args, kwargs)

    def _mine(self, name: str, tree: object) -> bool:
        return name in SIZED or any(
            isinstance(a, Tensor) and id(a) in self.tracer.own for a in pytree.tree_leaves(tree)
        )


def _shape_as_tuple(a: object) -> object:
    """Torch looks for activations in plain tuples only."""
    return tuple(a) if isinstance(a, SizeTuple) else a

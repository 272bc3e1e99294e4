"""Features: what modules inside a network give in a step, for a loss of the caller's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

Features = Callable[[], dict[str, Tensor]]


@contextmanager
def gathered(net: nn.Module, names: list[str]) -> Iterator[Features]:
    """Watch modules of `net`. Yields a function: the outputs, by name, of the last forward pass.

    Raises:
        ValueError: a module did not run.
        TypeError: its output is no tensor.
    """
    seen: dict[str, object] = {}

    def taken() -> dict[str, Tensor]:
        found = dict(seen)
        seen.clear()
        for name in names:
            if name not in found:
                raise ValueError(f"fit: `features` names {name!r}, which did not run in this step")
            if not isinstance(found[name], Tensor):
                kind = type(found[name]).__name__
                raise TypeError(f"fit: `features` names {name!r}, which gives no tensor but {kind}")
        return found  # type: ignore[return-value]

    def note(_: nn.Module, __: Any, output: object, name: str) -> None:
        seen[name] = output

    with ExitStack() as hooks:
        for name in names:
            handle = net.get_submodule(name).register_forward_hook(partial(note, name=name))
            hooks.callback(handle.remove)
        yield taken

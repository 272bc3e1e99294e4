"""The proxies that the network's own code sees in place of activations while it is followed.

Shapes are known, so the code can loop over the parts of a `chunk`, ask for a length or compare
sizes. A decision that depends on a width which pruning changes fixes those channels; a decision
that depends on the values of an activation is refused.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator

import numpy as np
from torch import Tensor, fx

from prunelab.groups.source_lines import here
from prunelab.groups.values import ChannelCount, FollowError, Parameter, Tracked

WIDTH = "`forward` uses the number of its channels as a plain number or in a decision"
OWN = {"tracer", "node", "root", "attr", "_node"}


class Value(fx.Proxy):
    """An activation, a tensor of the network, a width or a tuple of these."""

    @property
    def value(self) -> object:
        """What is known of it."""
        return self.tracer.env[self.node]

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # torch and numpy ask for what only arrays have
            raise AttributeError(name)
        if name in ("shape", "ndim") and isinstance(self.value, Tracked | Parameter):
            return self.tracer.shape(self) if name == "shape" else self.value.meta.ndim
        return Entry(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in OWN and hasattr(Tensor, name):
            raise FollowError(f"it assigns to `.{name}` of a tensor{here()}")
        super().__setattr__(name, value)

    def __setitem__(self, key: object, value: object) -> None:
        raise FollowError(f"it writes into a part of a tensor (`x[...] = ...`){here()}")

    def __iter__(self) -> Iterator:
        value = self.value
        if isinstance(value, dict):
            return iter(value)
        return iter([self[i] for i in range(len(self))])

    def __len__(self) -> int:
        value = self.value
        if isinstance(value, Tracked | Parameter) and value.meta.ndim:
            return operator.index(self.tracer.shape(self)[0])
        if not isinstance(value, tuple | list | dict):
            raise FollowError(f"it asks for the length of a number{here()}")
        return len(value)

    def __bool__(self) -> bool:
        value = self.value
        return bool(value if value is None or isinstance(value, str) else self.number())

    def __int__(self) -> int:
        return int(self.number())

    __index__ = __trunc__ = __int__

    def __float__(self) -> float:
        return float(self.number())

    def __hash__(self) -> int:
        """Of a width as of its number, as it may be looked up in a dict."""
        return hash(self.number()) if isinstance(self.value, ChannelCount) else id(self)

    def __format__(self, spec: str) -> str:
        value = self.number() if isinstance(self.value, ChannelCount) else repr(self)
        return format(value, spec)

    def __str__(self) -> str:
        return format(self, "")

    def __divmod__(self, other: object) -> tuple:
        return self // other, self % other

    def __round__(self, digits: int | None = None) -> int | float:
        return round(self.number(), digits)

    def number(self) -> object:
        """A width as a number, or the length of a tuple: from now on it cannot change."""
        value = self.value
        if isinstance(value, tuple | list | dict):
            return len(value)
        if isinstance(value, ChannelCount):
            value.settle(self.tracer.evidence, f"{WIDTH}{here()}")
            return value.meta
        if isinstance(value, Tracked | Parameter):
            kind = "an activation" if isinstance(value, Tracked) else f"`{value.name}`"
            raise FollowError(f"it decides or computes by the values of {kind}{here()}")
        return value


class Entry(Value, fx.proxy.Attribute):
    """An attribute that may turn out to be a method."""

    @property
    def node(self) -> fx.Node:
        """Made when it is known to be no method."""
        if self._node is None:
            args = self.root.node, self.attr
            self._node = self.tracer.create_node("call_function", getattr, args, {})
        return self._node

    def __call__(self, *args: object, **kwargs: object) -> object:
        if isinstance(self.root.value, Tracked | Parameter):
            if self.attr == "size":
                shape = self.tracer.shape(self.root)
                axis = (*args, *kwargs.values())
                return shape[axis[0]] if axis else shape
            if self.attr in ("dim", "ndimension"):
                return self.root.value.meta.ndim
        if isinstance(self.root.value, ChannelCount) and hasattr(
            np, self.attr
        ):  # np.sqrt(x.shape[1])
            return getattr(np, self.attr)(self.root.number(), *args, **kwargs)
        return super().__call__(*args, **kwargs)


class SizeTuple(tuple):
    """The sizes of a tensor."""

    def __getitem__(self, key: object) -> object:
        part = super().__getitem__(key)
        return SizeTuple(part) if isinstance(key, slice) else part

    def numel(self) -> object:
        """Their product."""
        return math.prod(self)

"""Sizes while a network is followed: plain numbers that remember how the graph computes them.

What the network's code does with sizes (loops, comparisons, `torch.zeros(h, w)`) needs numbers.
Where they enter an operation, the graph computes them anew: it must fit batches of other sizes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from torch import fx

ARITHMETIC = ("add", "sub", "mul", "floordiv", "mod", "truediv", "pow")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


class SizeInt(int):
    """An integer that pruning does not change, such as the batch size or the width of a map."""

    def __int__(self) -> int:
        self.tracer.decide("int", plain(self))
        return plain(self)

    __index__ = __trunc__ = __int__

    def __float__(self) -> float:
        return float(int(self))

    def __bool__(self) -> bool:
        return int(self) != 0

    __hash__ = int.__hash__


class SizeFloat(float):
    """The same for a fraction that is computed from sizes."""

    def __float__(self) -> float:
        self.tracer.decide("float", plain(self))
        return plain(self)

    def __int__(self) -> int:
        return int(float(self))

    def __bool__(self) -> bool:
        return float(self) != 0

    __hash__ = float.__hash__


def plain(number: object) -> object:
    """The number without its recipe."""
    if isinstance(number, SizeInt):
        return int.__int__(number)
    return float.__add__(number, 0.0) if isinstance(number, SizeFloat) else number


def sized(value: object, tracer: fx.Tracer, recipe: Callable[[], fx.Node]) -> object:
    """A number that remembers its recipe; what is no number stays as it is."""
    kinds = {int: SizeInt, float: SizeFloat}
    if type(value) not in kinds:
        return value
    number = kinds[type(value)](value)
    number.tracer, number.recipe = tracer, recipe
    return number


def node_of(number: SizeInt | SizeFloat) -> fx.Node:
    """The node that computes a number; made where it is first needed."""
    node = number.recipe()
    number.recipe = lambda: node
    return node


def _arithmetic(name: str, reflected: bool) -> Callable:
    function = getattr(operator, name)

    def method(self: SizeInt | SizeFloat, other: object) -> object:
        if not isinstance(other, int | float):
            return NotImplemented
        a, b = (other, self) if reflected else (self, other)
        make = self.tracer

        def recipe() -> fx.Node:
            args = make.create_arg(a), make.create_arg(b)
            return make.create_node("call_function", function, args, {})

        return sized(function(plain(a), plain(b)), make, recipe)

    return method


def _comparison(name: str) -> Callable:
    function = getattr(operator, name)

    def method(self: SizeInt | SizeFloat, other: object) -> object:
        if not isinstance(other, int | float):
            return NotImplemented
        a, b = plain(self), plain(other)
        self.tracer.decide(name, a, b)
        return function(a, b)

    return method


for _kind in (SizeInt, SizeFloat):
    for _name in ARITHMETIC:
        setattr(_kind, f"__{_name}__", _arithmetic(_name, False))
        setattr(_kind, f"__r{_name}__", _arithmetic(_name, True))
    for _name in COMPARISONS:
        setattr(_kind, f"__{_name}__", _comparison(_name))

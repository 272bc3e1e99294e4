"""One line for an argument that is of another kind or out of bounds: who, what, allowed, given."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any


def shown(value: object) -> str:
    """A value in one short line: tensors, arrays and tables by kind and shape."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, type):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def need(met: bool, caller: str, name: str, allowed: str, value: object) -> None:
    """ValueError unless `met`."""
    if not met:
        raise ValueError(f"{caller}: `{name}` must be {allowed}; got {shown(value)}")


def kind(caller: str, name: str, value: object, kinds: type | tuple, allowed: str) -> None:
    """TypeError unless the value is of one of these kinds."""
    if not isinstance(value, kinds):
        raise TypeError(f"{caller}: `{name}` must be {allowed}; got {shown(value)}")


def is_number(value: object) -> bool:
    """Whether a value is a finite number; True and False are none."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and -sys.float_info.max <= value <= sys.float_info.max


def number(
    caller: str,
    name: str,
    value: object,
    allowed: str = "a number",
    test: Callable[[float], bool] = is_number,
) -> None:
    """ValueError unless the value is a finite number that passes the test."""
    need(is_number(value) and test(value), caller, name, allowed, value)


def is_count(value: object, least: int = 1) -> bool:
    """Whether a value is an integer from `least` to 2^63 - 1; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def count(caller: str, name: str, value: object, least: int = 1) -> None:
    """ValueError unless the value is an integer from `least` to 2^63 - 1."""
    need(is_count(value, least), caller, name, f"an integer >= {least}", value)


def switch(caller: str, name: str, value: object) -> None:
    """ValueError unless the value is True or False."""
    need(isinstance(value, bool), caller, name, "True or False", value)


def word(caller: str, name: str, value: object, allowed: Collection[str]) -> None:
    """ValueError unless the value is one of the allowed words."""
    known = isinstance(value, str) and value in allowed
    need(known, caller, name, f"one of {', '.join(allowed)}", value)


def function(caller: str, name: str, value: object, *takes: str, module: bool = False) -> None:
    """TypeError unless the value is a function that these arguments can be given to.

    Args:
        caller: who takes it.
        name: of the argument that it is.
        value: it.
        takes: names of what it will be called with.
        module: whether a torch module may stand in its place.
    """
    allowed = f"a function of ({', '.join(takes)})"
    forward = getattr(value, "forward", None)
    kind(caller, name, value, Callable if module or forward is None else (), allowed)
    try:
        signature = inspect.signature(forward or value)
    except (TypeError, ValueError):  # some built-in functions do not say what they take
        return
    try:
        signature.bind(*takes)
    except TypeError as error:
        raise TypeError(f"{caller}: `{name}` must be {allowed}; {error}") from None


def call(caller: str, name: str, value: Callable[..., Any], *arguments: object) -> Any:
    """What such a function returns. TypeError: it cannot be called with these arguments."""
    try:
        return value(*arguments)
    except TypeError as error:
        if error.__traceback__ and error.__traceback__.tb_next:  # raised inside: its own error
            raise
        line = str(error).split("\n")[0]
        raise TypeError(
            f"{caller}: `{name}` cannot be called with {len(arguments)} values: {line}"
        ) from error


def path(caller: str, name: str, value: object) -> Path:
    """The value as a path; TypeError if it is none, ValueError if it is empty or of two lines."""
    kind(caller, name, value, (str, os.PathLike), "a path")
    plain = str(value) != "" and not set("\0\n") & set(str(value))
    need(plain, caller, name, "a path", value)
    return Path(value)


def columns(caller: str, name: str, table: object, needed: Iterable[str]) -> None:
    """TypeError unless the value is a DataFrame; ValueError unless it has these columns."""
    import pandas as pd  # here, as the command line has no time to wait for it

    kind(caller, name, table, pd.DataFrame, "a DataFrame")
    missing = [column for column in needed if column not in table]
    if missing:
        there = ", ".join(map(str, table)) or "none"
        raise ValueError(
            f"{caller}: `{name}` must have columns {', '.join(needed)}; no {missing[0]!r} among"
            f" {there}"
        )


def listed(caller: str, name: str, value: object, kinds: type, allowed: str) -> list:
    """The value as a list of things of a kind; TypeError if it is none."""
    text = isinstance(value, str | bytes | Mapping)
    try:
        found = [value] if text else list(value)
    except TypeError:  # it cannot be iterated over
        found = [value]
    for part in found:
        kind(caller, name, part, kinds, allowed)
    return found


def rows(caller: str, name: str, value: object, needed: Iterable[str]) -> list[Mapping]:
    """The value as a list of mappings with these keys; TypeError or ValueError if it is none."""
    found = listed(caller, name, value, Mapping, "a list of mappings")
    for row in found:
        missing = [key for key in needed if key not in row]
        if missing:
            raise ValueError(f"{caller}: `{name}` must have {missing[0]!r} in every row")
    return found

"""Arguments of figures are checked first: one line instead of an error deep in matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from prunelab import checks


def to_draw(
    caller: str, table: object, columns: str, title: object = "", name: str = "points"
) -> bool:
    """Whether a table has rows.

    Args:
        caller: the function asked; errors name it.
        table: what it was given.
        columns: those that it reads, with spaces between; `#` follows those that hold numbers.
        title: what it was given.
        name: of the argument.

    Raises:
        TypeError: `table` is no DataFrame, or `title` no text.
        ValueError: a table with rows lacks a column, or has no numbers in it.
    """
    text(caller, title)
    checks.kind(caller, name, table, pd.DataFrame, "a DataFrame")
    if table.empty:
        return False
    checks.columns(caller, name, table, columns.replace("#", "").split())
    for column in [column[:-1] for column in columns.split() if column.endswith("#")]:
        values = table[column]
        one = isinstance(values, pd.Series)  # two columns of one name are a table
        odd = not one or (pd.to_numeric(values, errors="coerce").isna() & values.notna()).any()
        if odd:
            raise ValueError(f"{caller}: `{name}` must hold numbers in its column {column!r}")
    return True


def printed(caller: str, name: str, table: object, columns: str) -> pd.DataFrame:
    """A second table, which may be left out: then it is empty. Errors as `to_draw`."""
    table = pd.DataFrame() if table is None else table
    to_draw(caller, table, columns, name=name)
    return table


def text(caller: str, title: object) -> None:
    """TypeError unless the title is text."""
    checks.kind(caller, "title", title, str, "text")


def numbers(caller: str, **values: object) -> None:
    """ValueError unless each is a finite number, or None or NaN, which are not known."""
    for name, value in values.items():
        unknown = value is None or (isinstance(value, float) and math.isnan(value))
        fits = unknown or checks.is_number(value)
        checks.need(fits, caller, name, "a number or None", value)


def image(caller: str, name: str, value: object, kind: type, deep: bool = False) -> np.ndarray:
    """(H, W); of more axes, where `deep` allows them, the last ones are one. Else a TypeError."""
    try:
        found = np.asarray(value, kind)
    except (TypeError, ValueError, RuntimeError):
        found = np.zeros(0)
    if found.ndim > 2 and found.size and deep:
        found = found.reshape(len(found), -1)
    if found.ndim != 2 or not found.size:
        raise TypeError(f"{caller}: `{name}` must be an image (H, W); got {checks.shown(value)}")
    return found


def units(caller: str, name: str, value: object) -> None:
    """TypeError unless the value maps names to numbers."""
    mapped = isinstance(value, Mapping)
    if not mapped or not all(isinstance(v, int | float | np.number) for v in value.values()):
        raise TypeError(f"{caller}: `{name}` must map names to numbers; got {checks.shown(value)}")

"""Choices: the points of a scan, checked, as what each group offers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd

from prunelab.sensitivity.budget.price import Price
from prunelab.sensitivity.scanning.arguments import short

MOST_COUNT = 2**53  # a float holds it exactly
COUNTS = ("kept", "correct", "params", "macs")  # columns of whole numbers

Rows = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Choices:
    """What the groups of a scan offer, and the whole network.

    Attributes:
        whole: column -> value of the unpruned network.
        options: group -> column -> (choices,) values, ratio rising from 0 = whole. A whole group's
            `kept` is NaN where no row tells its size.
        price: exact costs of any combination, where the scan left them.
    """

    whole: Mapping[str, float]
    options: Mapping[str, Rows]
    price: Price | None


def read(function: str, curves: pd.DataFrame, columns: Sequence[str]) -> Choices:
    """The choices of a scan; rows that would empty their group are left out.

    Args:
        function: the caller's name, for messages.
        curves: as `scan` returns; `attrs` may hold "whole" and "price".
        columns: those that the caller needs beside group and ratio; "kept" is among them.

    Raises:
        TypeError: `curves` is no DataFrame.
        ValueError: columns, values or the whole network are missing; a (group, ratio) repeats; a
            ratio is outside [0, 1); a count is no whole number; the price is another network's.
    """
    if not isinstance(curves, pd.DataFrame):
        kind = type(curves).__name__
        raise TypeError(f"{function}: `curves` must be a DataFrame, as scan returns; got {kind}")
    twice = curves.columns[curves.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{function}: `curves` has the column {twice[0]!r} twice")
    missing = [c for c in ("group", "ratio", *columns) if c not in curves]
    if missing:
        raise ValueError(f"{function}: `curves` lacks the columns {', '.join(missing)}")
    attrs = curves.attrs
    curves = curves[["group", "ratio", *columns]].reset_index(drop=True)
    curves.attrs = {}  # pandas copies them with every operation: slow
    _check(function, curves, ["ratio", *columns])
    raw = attrs.get("price")
    price = None if raw is None else _price(function, raw)
    whole = _whole(function, attrs.get("whole"), curves, [c for c in columns if c != "kept"])
    rising = curves.sort_values("ratio", kind="stable")
    group, table = rising.group.to_numpy(), {c: rising[c].to_numpy() for c in ("ratio", *columns)}
    options = {}
    for name in dict.fromkeys(curves.group):
        rows = {column: values[group == name] for column, values in table.items()}
        if price is not None:
            _check_price(function, name, rows, price)
        zero = rows["kept"][rows["ratio"] == 0]
        size = price.sizes[name] if price else zero[0] if len(zero) else np.nan
        first = {"ratio": 0.0, "kept": size, **whole}
        rest = (rows["ratio"] > 0) & (rows["kept"] >= 1)
        options[name] = {c: np.append(first[c], v[rest]) for c, v in rows.items()}
    return Choices(whole, options, price)


def _check(function: str, curves: pd.DataFrame, columns: Sequence[str]) -> None:
    if curves.empty:
        raise ValueError(f"{function}: `curves` is empty")
    for column in ("group", *columns):
        if curves[column].isna().any():
            row = int(curves[column].isna().to_numpy().argmax())
            raise ValueError(f"{function}: column `{column}` has no value in row {row}")
    strange = [name for name in curves.group if not isinstance(name, str)]
    if strange:
        raise ValueError(f"{function}: column `group` must hold names, got {short(strange[0])}")
    for column in columns:
        values = curves[column]
        if (
            pd.api.types.is_complex_dtype(values)
            or not pd.api.types.is_numeric_dtype(values)
            or not np.isfinite(values).all()
        ):
            raise ValueError(f"{function}: column `{column}` must hold finite numbers")
        if column in COUNTS and (values % 1 != 0).any():
            wrong = values[values % 1 != 0].iloc[0]
            raise ValueError(f"{function}: column `{column}` must hold whole numbers, got {wrong}")
        if column in COUNTS and not values.between(0, MOST_COUNT).all():
            wrong = values[~values.between(0, MOST_COUNT)].iloc[0]
            raise ValueError(
                f"{function}: column `{column}` must hold counts, from 0 to 2^53; got {wrong}"
            )
    outside = curves.ratio[~curves.ratio.between(0, 1, inclusive="left")]
    if len(outside):
        raise ValueError(f"{function}: column `ratio` must be in [0, 1), got {outside.iloc[0]}")
    twice = curves[curves.duplicated(["group", "ratio"])]
    if len(twice):
        group, ratio = twice.group.iloc[0], twice.ratio.iloc[0]
        raise ValueError(f"{function}: `curves` has group `{group}` at ratio {ratio} twice")


def _whole(
    function: str, known: Mapping | None, curves: pd.DataFrame, columns: Sequence[str]
) -> dict[str, float]:
    if known is not None:
        if not isinstance(known, Mapping):
            raise ValueError(
                f"{function}: `curves.attrs['whole']` must be a mapping as scan writes it, got"
                f" {short(known)}"
            )
        missing = [c for c in columns if c not in known]
        if missing:
            raise ValueError(f"{function}: `curves.attrs` lacks {', '.join(missing)} of the whole")
        for column in columns:
            least = 0 if column in COUNTS else -math.inf
            number = isinstance(known[column], Real) and not isinstance(known[column], bool)
            if not number or not least <= known[column] <= MOST_COUNT:
                raise ValueError(
                    f"{function}: `{column}` in `curves.attrs['whole']` must be a number as scan"
                    f" writes it, got {short(known[column])}"
                )
        return {column: known[column] for column in columns}
    rows = curves.loc[curves.ratio == 0, list(columns)].drop_duplicates()
    if rows.empty:
        raise ValueError(
            f"{function}: `curves` must tell of the whole network: a row with ratio 0, or"
            " `attrs` as scan writes them"
        )
    if len(rows) > 1:
        column = next(c for c in columns if (rows[c] != rows[c].iloc[0]).any())
        values = ", ".join(map(str, rows[column].unique()))
        raise ValueError(f"{function}: rows with ratio 0 must agree on `{column}`, got {values}")
    return {column: rows[column].tolist()[0] for column in columns}


def _price(function: str, raw: object) -> Price:
    try:
        price = Price.from_dict(raw)
        price()
    except Exception as error:  # whatever another kind of data raises
        raise ValueError(
            f"{function}: `curves.attrs['price']` must be as scan writes it, got {short(raw)}"
        ) from error
    return price


def _check_price(function: str, name: str, rows: Rows, price: Price) -> None:
    """The price must tell what the group's last row does; another network's would not."""
    if name not in price.sizes:
        raise ValueError(f"{function}: the price in `curves.attrs` has no group `{name}`")
    most, last = rows["kept"].max(), int(rows["kept"][-1])
    if most > price.sizes[name]:
        raise ValueError(
            f"{function}: group `{name}` has {price.sizes[name]} channels in the price in"
            f" `curves.attrs`, a row keeps {most}"
        )
    exact = dict(zip(("params", "macs"), price({name: last}))) if last >= 1 else {}
    for column in [c for c in exact if c in rows]:
        if exact[column] != rows[column][-1]:
            raise ValueError(
                f"{function}: the price in `curves.attrs` gives {exact[column]} {column} for group"
                f" `{name}` at ratio {rows['ratio'][-1]}, its row {rows[column][-1]}"
            )

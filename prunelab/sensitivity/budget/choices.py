"""Choices: the checked points of a scan, as the options of each group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from prunelab import checks
from prunelab.sensitivity.budget.price import Price

MOST_COUNT = 2**53  # a float holds it exactly
COUNTS = ("kept", "correct", "params", "macs")  # columns of whole numbers

Rows = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Choices:
    """The options of the groups of a scan, and the whole network."""

    whole: Mapping[str, float]  # column -> value of the unpruned network
    # group -> column -> (choices,) values, ratio rising from 0 = whole; the `kept` of a whole group
    # is NaN where no row tells its size
    options: Mapping[str, Rows]
    price: Price | None  # exact costs of any combination, if the scan gave them


def read(function: str, curves: pd.DataFrame, columns: Sequence[str]) -> Choices:
    """The choices of a scan; rows that would empty their group are left out.

    Args:
        function: the caller's name, for messages.
        curves: as `scan` returns; `attrs` may hold "whole" and "price".
        columns: those that the caller needs besides group and ratio; "kept" is one of them.

    Raises:
        TypeError: `curves` is no DataFrame.
        ValueError: columns, values or the whole network are missing; a (group, ratio) repeats; a
            ratio is outside [0, 1); a count is no whole number; the price is another network's.
    """
    checks.columns(function, "curves", curves, ["group", "ratio", *columns])
    twice = curves.columns[curves.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{function}: `curves` has the column {twice[0]!r} twice")
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
    def need(column: str, allowed: str, right: pd.Series) -> None:
        if not right.all():
            wrong = checks.shown(curves.loc[~right, column].tolist()[0])
            raise ValueError(f"{function}: column `{column}` must hold {allowed}; got {wrong}")

    if curves.empty:
        raise ValueError(f"{function}: `curves` is empty")
    need("group", "names", curves.group.map(lambda name: isinstance(name, str)))
    for column in columns:
        values = curves[column]
        real = is_numeric_dtype(values) and not is_complex_dtype(values)
        finite = np.isfinite(values) if real else pd.Series(False, index=values.index)
        need(column, "finite numbers", finite)
        if column in COUNTS:
            need(column, "whole numbers", values % 1 == 0)
            need(column, "counts, from 0 to 2^53", values.between(0, MOST_COUNT))
    need("ratio", "fractions in [0, 1)", curves.ratio.between(0, 1, inclusive="left"))
    twice = curves[curves.duplicated(["group", "ratio"])]
    if len(twice):
        group, ratio = twice.group.iloc[0], twice.ratio.iloc[0]
        raise ValueError(f"{function}: `curves` has group `{group}` at ratio {ratio} twice")


def _whole(
    function: str, known: Mapping | None, curves: pd.DataFrame, columns: Sequence[str]
) -> dict[str, float]:
    if known is not None:
        where = "curves.attrs['whole']"
        checks.need(isinstance(known, Mapping), function, where, "as scan writes it", known)
        for column in columns:
            value, least = known.get(column), 0 if column in COUNTS else -math.inf
            number = isinstance(value, Real) and not isinstance(value, bool)
            right = number and least <= value <= MOST_COUNT
            checks.need(right, function, where, f"with a number for `{column}`", known)
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
            f"{function}: `curves.attrs['price']` must be as scan writes it; got"
            f" {checks.shown(raw)}"
        ) from error
    return price


def _check_price(function: str, name: str, rows: Rows, price: Price) -> None:
    """The price must tell what the group's last row does; another network's would not."""
    last = {column: int(values[-1]) for column, values in rows.items() if column in COUNTS}
    exact = dict(zip(("params", "macs"), price({name: max(1, last["kept"])})))
    for column in exact.keys() & last.keys():
        if last["kept"] and exact[column] != last[column]:
            raise ValueError(
                f"{function}: the price in `curves.attrs` gives {exact[column]} {column} for group"
                f" `{name}` at ratio {rows['ratio'][-1]}, its row {last[column]}"
            )

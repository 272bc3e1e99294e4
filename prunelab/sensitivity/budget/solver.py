"""Solver: a ratio for each group, so that the network meets a budget at the least loss."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import pandas as pd

from prunelab import checks
from prunelab.sensitivity.budget.choices import Choices, read
from prunelab.sensitivity.budget.integer_program import IntegerProgram


def solve(
    curves: pd.DataFrame, *, macs: float | None = None, params: float | None = None
) -> dict[str, float]:
    """The ratios of best predicted accuracy within a budget of MACs or of parameters.

    Args:
        curves: as `scan` returns. The columns group, ratio, kept, correct and that of the budget
            are read; the whole network from `attrs["whole"]`, else from rows with ratio 0.
        macs: budget of the whole network's MACs: an int (or a float above 1) is a number of MACs, a
            float in (0, 1] a fraction of the unpruned network's.
        params: the same for parameters. Exactly one of the two is given.

    Returns:
        Group -> its ratio: that of one of its rows, or 0.0 = left whole. A row that keeps no
        channel is never chosen. Of equally good solutions it is the cheapest; the same curves give
        the same solution.

    The predicted number of correct images is that of the whole network plus the sum over groups of
    the change when each is pruned alone. This first-order sum is maximised exactly, over all
    combinations. With `attrs["price"]` (of `scan`) the cost of a combination is exact: two
    neighbours that both shrink save less than the sum of their rows. Without it, the savings of the
    rows are added up.

    Raises:
        TypeError: `curves` is no DataFrame.
        ValueError: both budgets or none, or one that is no number above 0; a budget that no
            combination meets (the message gives the smallest cost); `curves` is empty, lacks
            columns or the whole network, or has missing, repeated or impossible values.

    Source: the layer-wise ratios of PFEC, section 3.2, are set by eye from these curves.
    """
    column, wanted = _budget(macs, params)
    choices = read("solve", curves, ["kept", "correct", column])
    budget = wanted if isinstance(wanted, int) else math.floor(wanted * choices.whole[column])
    losses = [
        (choices.whole["correct"] - rows["correct"]).astype(np.int64)
        for rows in choices.options.values()
    ]
    kept = [np.nan_to_num(rows["kept"]).astype(np.int64) for rows in choices.options.values()]
    fixed, costs, pairs = _costs(choices, column, kept)
    program = IntegerProgram(losses, kept, costs, pairs)
    picks = program.best(budget - fixed)
    if picks is None:
        smallest = fixed + program.cost(program.cheapest())
        raise ValueError(
            f"solve: `{column}` cannot go below {smallest} with these ratios,"
            f" got the budget {budget}"
        )
    tables = choices.options.items()
    return {name: float(rows["ratio"][pick]) for (name, rows), pick in zip(tables, picks)}


def _budget(macs: float | None, params: float | None) -> tuple[str, float]:
    """The column; an int, or a float that is a fraction."""
    given = {k: v for k, v in (("macs", macs), ("params", params)) if v is not None}
    if len(given) != 1:
        got = "both" if given else "none"
        raise ValueError(f"solve: give one of `macs` and `params`, got {got}")
    ((name, value),) = given.items()
    number = isinstance(value, Real) and not isinstance(value, bool) and 0 < value < math.inf
    checks.need(number, "solve", name, "a finite number above 0", value)
    absolute = isinstance(value, Integral) or value > 1
    return name, math.floor(value) if absolute else float(value)


def _costs(
    choices: Choices, column: str, kept: list[np.ndarray]
) -> tuple[int, list[np.ndarray], dict[tuple[int, int], int]]:
    """Cost of a combination: a constant, (options,) a group, a factor of the channels of a pair.

    These are the price's terms by the groups they hold; groups without a curve stay whole.
    """
    price = choices.price
    if price is None:
        whole, tables = choices.whole[column], choices.options.values()
        return int(whole), [(rows[column] - whole).astype(np.int64) for rows in tables], {}
    place = {name: i for i, name in enumerate(choices.options)}
    fixed, costs, pairs = 0, [np.zeros_like(k) for k in kept], {}
    for names, factor in getattr(price, column).items():
        factor *= math.prod(price.sizes[n] for n in names if n not in place)
        open_ = sorted(place[n] for n in names if n in place)
        if not open_:
            fixed += factor
        elif len(set(open_)) == 1:
            costs[open_[0]] += factor * kept[open_[0]] ** len(open_)
        else:
            v, w = open_
            pairs[v, w] = pairs.get((v, w), 0) + factor
    return fixed, costs, pairs

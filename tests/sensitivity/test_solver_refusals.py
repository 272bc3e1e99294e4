"""What `solve` refuses, each in one line."""

import math

import pandas as pd
import pytest

from prunelab.sensitivity.budget.price import Price
from prunelab.sensitivity.budget.solver import solve


def frame(**changes):
    rows = {
        "group": ["a", "a", "b"], "ratio": [0.0, 0.5, 0.5], "kept": [8, 4, 4],
        "correct": [40, 35, 30], "params": [9, 8, 7], "macs": [100, 60, 70],
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({}, "solve: give one of `macs` and `params`, got none"),
        ({"macs": 10, "params": 10}, "solve: give one of `macs` and `params`, got both"),
        ({"macs": 0}, "solve: `macs` must be a finite number above 0; got 0"),
        ({"macs": -0.5}, "`macs` must be a finite number above 0; got -0.5"),
        ({"params": math.nan}, "`params` must be a finite number above 0; got nan"),
        ({"params": math.inf}, "`params` must be a finite number above 0; got inf"),
        ({"macs": True}, "`macs` must be a finite number above 0; got True"),
        ({"macs": "half"}, "`macs` must be a finite number above 0; got 'half'"),
    ],
)
def test_a_budget_that_is_none_is_refused(budget, message):
    with pytest.raises(ValueError, match=message) as caught:
        solve(frame(), **budget)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        (frame().iloc[:0], "solve: `curves` is empty"),
        (
            frame()[["group", "ratio", "macs"]],
            "`curves` must have columns .*; no 'kept' among",
        ),
        (frame(macs=[1, None, 2]), "column `macs` must hold finite numbers; got nan"),
        (frame(group=["a", None, "b"]), "column `group` must hold names; got (nan|None)"),
        (frame(macs=["x", "y", "z"]), "column `macs` must hold finite numbers"),
        (frame(macs=[1, math.inf, 2]), "column `macs` must hold finite numbers"),
        (frame(correct=[4, 3.5, 2]), "column `correct` must hold whole numbers; got 3.5"),
        (frame(ratio=[0, 0.5, 1.0]), r"column `ratio` must hold fractions in \[0, 1\); got .*1.0"),
        (
            frame(ratio=[0, -0.5, 0.5]),
            r"column `ratio` must hold fractions in \[0, 1\); got .*-0.5",
        ),
        (frame(group=["b", "a", "a"]), "has group `a` at ratio 0.5 twice"),
        (frame(ratio=[0.1, 0.5, 0.5]), "must tell of the whole network: a row with ratio 0, or"),
        (frame(ratio=[0, 0.5, 0]), "ratio 0 must agree on `correct`, got 40, 30"),
    ],
)
def test_curves_that_cannot_be_read_are_refused_in_one_line(curves, message):
    with pytest.raises(ValueError, match=message) as caught:
        solve(curves, macs=50)
    assert "\n" not in str(caught.value)


def test_curves_of_another_kind_are_named():
    with pytest.raises(TypeError, match=r"solve: `curves` must be a DataFrame; got \[1, 2\]"):
        solve([1, 2], macs=50)


@pytest.mark.parametrize(
    ("price", "message"),
    [
        (Price({"a": 8}, {}, {("a",): 15}), "price: no group `b`; groups are a"),
        (
            Price({"a": 8, "b": 3}, {}, {("a",): 15}),
            r"price: `b` must keep 1 to 3 channels, got 4",
        ),
        (
            Price({"a": 8, "b": 8}, {}, {("a",): 12}),
            r"the price in `curves.attrs` gives 48 macs for group `a` at ratio 0.5, its row 60",
        ),
    ],
)
def test_the_price_of_another_network_is_refused(price, message):
    curves = frame()
    curves.attrs["price"] = price.to_dict()
    with pytest.raises(ValueError, match=message):
        solve(curves, macs=50)


def test_a_whole_network_that_lacks_a_number_is_refused():
    curves = frame()
    curves.attrs["whole"] = {"correct": 40}
    with pytest.raises(ValueError, match="must be with a number for `macs`"):
        solve(curves, macs=50)


@pytest.mark.parametrize("column", ["kept", "correct", "params", "macs"])
@pytest.mark.parametrize("value", [-1, 2**60])
def test_what_is_no_count_is_refused(column, value):
    wrong = frame(**{column: [9, value, 7]})
    message = rf"solve: column `{column}` must hold counts, from 0 to 2\^53; got {value}"
    with pytest.raises(ValueError, match=message):
        solve(wrong, **{"macs" if column != "params" else "params": 0.9})


@pytest.mark.parametrize("which", ["whole", "price"])
@pytest.mark.parametrize(
    "value", [5, "x", [], {"sizes": 5}, {"correct": -1, "macs": 1}, {"correct": "a", "macs": 1}]
)
def test_attributes_that_no_scan_wrote_are_refused_in_one_line(which, value):
    curves = frame()
    curves.attrs = {which: value}
    with pytest.raises(ValueError, match=r"solve: .*curves\.attrs") as caught:
        solve(curves, macs=0.9)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        (pd.concat([frame(), frame()], axis=1), "`curves` has the column 'group' twice"),
        (frame(group=["a", ["a"], "b"]), r"column `group` must hold names; got \['a'\]"),
        (frame().T, "`curves` must have columns"),
        (frame().astype(str), "column `ratio` must hold finite numbers"),
    ],
)
def test_a_table_of_another_shape_is_refused(curves, message):
    with pytest.raises(ValueError, match=f"solve: {message}"):
        solve(curves, macs=0.9)

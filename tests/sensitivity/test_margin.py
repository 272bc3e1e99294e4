"""How far off a prediction may be: points and combinations left out lie in the range of the rest.

Shares measured on the committed recordings: 23 of 24 and 77 of 80 inner points; 3 of 3 and 8 of 10
last points; 12 of 13 and 13 of 14 combinations.
"""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelab.sensitivity.budget.margin import Margins
from prunelab.widgets.exploring.recorded import Recorded, shipped

RECORDINGS = shipped()
titles = [one["title"] for one in RECORDINGS]


def held(recording, plan, accuracy, **left):
    """Whether the range of a recording without something holds what was measured."""
    guess = Recorded(recording | left).predicted(plan)
    low, high = guess.whole + guess.low, guess.whole + guess.high
    assert 0 <= low < high <= 1 + 1e-12
    return low - 1e-9 <= accuracy <= high + 1e-9


def without(rows, one):
    return [row for row in rows if row is not one]


@pytest.mark.parametrize("recording", RECORDINGS, ids=titles)
def test_nine_of_ten_points_left_out_lie_in_the_range_of_the_rest(recording):
    points = recording["points"]
    last = max(point["ratio"] for point in points)
    found = {True: [], False: []}
    for point in points:
        plan, rest = {point["group"]: point["ratio"]}, without(points, point)
        inner = point["ratio"] < last
        found[inner].append(held(recording, plan, point["accuracy"], points=rest))
    assert len(found[True]) >= 24
    assert sum(found[True]) / len(found[True]) >= 0.9
    assert sum(found[False]) / len(found[False]) >= 0.8


@pytest.mark.parametrize("recording", RECORDINGS, ids=titles)
def test_nine_of_ten_combinations_left_out_lie_in_the_range_of_the_rest(recording):
    rows = recording["combinations"]
    found = [
        held(recording, row["ratios"], row["accuracy"], combinations=without(rows, row))
        for row in rows
    ]
    assert sum(found) / len(found) >= 0.9


@pytest.mark.parametrize("ratio", [0.35, 0.55, 0.65, 0.75])
def test_a_steep_curve_has_a_wide_range_where_nothing_was_measured(ratio):
    """LeNet-5's conv1 loses 20 points from 50% to 60%, and gains 6 from there to 80%."""
    margins = Recorded(RECORDINGS[0]).margins
    steep, flat = margins.of("conv1", ratio), margins.of("fc1", ratio)
    assert steep > 0.03 > 0.02 > flat > 0.0005


def scan(accuracies, images=1000, noise=0.01):
    """One group "a" at ratios 1/n, 2/n, ..."""
    count = len(accuracies)
    rows = [
        {"group": "a", "ratio": (n + 1) / (count + 1), "kept": 100 - n, "correct": 0,
         "accuracy": y, "low": y - 0.9 - noise, "high": y - 0.9 + noise, "params": 1, "macs": 1}
        for n, y in enumerate(accuracies)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table.attrs["whole"] = {"accuracy": 0.9, "images": images}
    return table


curves = st.lists(st.floats(0, 1), min_size=1, max_size=9)


@given(curves, st.floats(0.001, 0.98))
def test_a_margin_is_at_least_the_interval_of_what_was_measured_around(accuracies, ratio):
    margins = Margins(scan(accuracies))
    first = 1 / (len(accuracies) + 1)
    assert math.isfinite(margins.of("a", ratio))
    assert margins.of("a", ratio) >= (0.01 if ratio >= first else 0.0005) - 1e-12
    assert margins.of("a", first) == pytest.approx(0.01)  # measured: its own interval
    assert margins.of("a", 0.0) == margins.of("another", ratio) == 0


@given(curves, st.floats(0.01, 0.99))
def test_a_straight_curve_that_was_measured_well_leaves_little_open(accuracies, at):
    count = len(accuracies) + 2
    line = [0.9 - 0.5 * (n + 1) / count for n in range(count)]
    margins = Margins(scan(line, images=10**6, noise=1e-6))
    assert margins.between < 0.01
    ratio = at * count / (count + 1)
    assert margins.of("a", ratio) < 0.01 * 0.5 + 1e-5


def test_without_anything_to_leave_out_a_whole_step_and_loss_stay_open():
    margins = Margins(scan([0.5]))
    assert margins.between == margins.beyond == margins.adding == 1
    assert margins.of("a", 0.25) == pytest.approx(math.hypot(0.4, 0.01, 0.01))
    both = margins.together({"a": 0.5, "b": 0.5}, 0.5)
    assert both == pytest.approx(math.hypot(0.01, math.sqrt(0.4 + 0.0005)))
    assert margins.together({"a": 0.5}, 0.5) == pytest.approx(0.01)

"""solve: the best ratios under a budget, against trying every combination."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.curves import IMAGES, combinations, frames, priced, table
from helpers.toy import split
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from prunelab import cost, scores, surgery
from prunelab.groups import trace
from prunelab.models import build
from prunelab.sensitivity import ranking, scan
from prunelab.sensitivity.budget.prediction import predict
from prunelab.sensitivity.budget.price import Price, price
from prunelab.sensitivity.budget.solver import solve

COLUMN = st.sampled_from(["macs", "params"])


def value(ratios, every):
    """Right images and cost of `ratios`, looked up among all combinations."""
    return {tuple(r.items()): (right, c) for right, c, r in every}[tuple(ratios.items())]


def reachable(every, place):
    """A budget between the cheapest and the dearest combination."""
    costs = sorted(c for _, c, _ in every)
    budget = round(costs[0] + place * (costs[-1] - costs[0]))
    assume(budget > 0)
    return budget


@settings(deadline=None, max_examples=80)
@given(frames(), COLUMN, st.floats(0, 1))
def test_no_combination_is_better_or_as_good_and_cheaper_and_predict_says_so(frame, column, place):
    every = list(combinations(frame, column))
    budget = reachable(every, place)
    best, price_of_it = max((right, -c) for right, c, _ in every if c <= budget)
    found = solve(frame, **{column: budget})
    assert list(found) == list(dict.fromkeys(frame.group))
    assert value(found, every) == (best, -price_of_it)
    said = predict(frame, found)
    assert said.accuracy == pytest.approx(best / IMAGES, abs=1e-12)
    assert getattr(said, column) == -price_of_it
    for row in frame.itertuples():
        if found[row.group] == row.ratio:
            assert said.kept[row.group] == row.kept


@settings(deadline=None, max_examples=25)
@given(frames(), COLUMN, st.lists(st.floats(0, 1), min_size=2, max_size=4))
def test_a_larger_budget_never_predicts_worse(frame, column, places):
    every = list(combinations(frame, column))
    low, high = min(c for _, c, _ in every), max(c for _, c, _ in every)
    budgets = sorted(max(low, round(low + p * (high - low))) for p in places)
    assume(budgets[0] > 0)
    rights = [value(solve(frame, **{column: b}), every)[0] for b in budgets]
    assert rights == sorted(rights)


@settings(deadline=None, max_examples=20)
@given(frames(), COLUMN)
def test_a_budget_below_the_smallest_cost_is_refused_and_the_smallest_named(frame, column):
    smallest = min(c for _, c, _ in combinations(frame, column))
    assume(smallest > 1)
    with pytest.raises(ValueError, match=rf"`{column}` cannot go below {smallest} with") as caught:
        solve(frame, **{column: smallest - 1})
    assert f"got the budget {smallest - 1}" in str(caught.value)
    assert "\n" not in str(caught.value)
    solve(frame, **{column: smallest})


def scanned(net, shape, groups=None, grid=10, seed=0):
    """Curves of a real network's groups and price; only the images are made up."""
    rng, x = np.random.default_rng(seed), torch.zeros(1, *shape)
    groups = groups or trace(net, x)
    ratios = np.linspace(0.95 / grid, 0.95, grid)
    points = [
        (name, float(r), int(40 - 40 * steep * r**2 + rng.integers(-1, 2)))
        for name, steep in zip(groups, rng.uniform(0.1, 0.9, len(groups)))
        for r in ratios
    ]
    return priced(price(net, x, groups), 40, points)


def by_hand(frame, order, macs):
    """The best of a chain by a plain table: (choice of the last layer, images lost) -> MACs."""
    exact, right = Price.from_dict(frame.attrs["price"]), frame.attrs["whole"]["correct"]
    menus = [
        [(exact.sizes[n], 0)]
        + [(r.kept, right - r.correct) for r in frame[frame.group == n].itertuples()]
        for n in order
    ]
    states = {(None, 0): exact.macs.get((), 0)}
    for place, name in enumerate(order):
        before, grown = order[place - 1] if place else None, {}
        names = tuple(sorted((before, name))) if before else None
        own = exact.macs.get((name,), 0)
        pair, square = exact.macs.get(names, 0), exact.macs.get((name, name), 0)
        for (last, lost), spent in states.items():
            for kept, loss in menus[place]:
                c = spent + own * kept + square * kept**2 + (pair * kept * last if pair else 0)
                key = (kept, lost + loss)
                grown[key] = min(c, grown.get(key, c))
        states = grown
    return min((lost, c) for (_, lost), c in states.items() if c <= macs)


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("name", ["vgg-16", "resnet-56"])
def test_whole_networks_agree_with_a_plain_table(name, share):
    net, shape = build(name), (3, 32, 32)
    groups = trace(net, torch.zeros(1, *shape))
    some = groups.first_convolutions() if name == "resnet-56" else groups
    frame = scanned(net, shape, some)
    macs = int(share * frame.attrs["whole"]["macs"]) if name == "vgg-16" else 70_000_000
    said = predict(frame, solve(frame, macs=macs))
    lost, spent = by_hand(frame, list(some), macs)
    assert said.accuracy == pytest.approx((40 - lost) / IMAGES, abs=1e-9)
    assert said.macs == spent <= macs


def test_every_group_of_resnet_20_can_be_solved_for():
    frame = scanned(build("resnet-20"), (3, 32, 32))
    found = solve(frame, params=0.5)
    assert predict(frame, found).params <= frame.attrs["whole"]["params"] // 2
    assert len(found) == 10


def test_neighbours_that_shrink_together_save_less_than_their_sum():
    made = Price({"a": 10, "b": 10}, {}, {("a", "b"): 1})  # whole 100; either half 50, both 25
    frame = priced(made, 50, [("a", 0.5, 49), ("b", 0.5, 49), ("b", 0.7, 46)])
    assert solve(frame, macs=25) == {"a": 0.5, "b": 0.5}
    assert predict(frame, {"a": 0.5, "b": 0.5}).macs == 25
    assert solve(frame, macs=24) == {"a": 0.5, "b": 0.7}
    frame.attrs.pop("price")
    assert solve(frame, macs=1) == {"a": 0.5, "b": 0.5}  # as if 50 + 50 were saved


def test_the_worked_example_of_a_knapsack():
    # Whole: 40 right, 100 MACs. Savings and losses: a 30 for 2 or 50 for 9; b 40 for 5.
    frame = table(
        [("a", 0.0, 8, 40, 9, 100), ("a", 0.3, 5, 38, 9, 70), ("a", 0.6, 3, 31, 9, 50),
         ("b", 0.4, 6, 35, 9, 60)]
    )  # fmt: skip
    assert solve(frame, macs=100) == {"a": 0.0, "b": 0.0}
    assert solve(frame, macs=70) == {"a": 0.3, "b": 0.0}
    assert solve(frame, macs=69) == solve(frame, macs=0.695) == {"a": 0.0, "b": 0.4}
    assert solve(frame, macs=50) == {"a": 0.3, "b": 0.4}
    assert solve(frame, macs=10) == {"a": 0.6, "b": 0.4}


def test_of_equally_good_answers_it_takes_the_cheapest():
    rows = [("a", 0.0, 8, 40, 9, 100), ("a", 0.5, 4, 40, 9, 80), ("b", 0.5, 4, 39, 9, 70)]
    assert solve(table(rows), macs=100) == {"a": 0.5, "b": 0.0}
    assert solve(table(rows[::-1]), macs=100) == {"a": 0.5, "b": 0.0}


def test_pruning_that_helps_is_taken_without_need():
    rows = [("a", 0.0, 8, 40, 9, 100), ("a", 0.5, 4, 43, 9, 90)]
    assert solve(table(rows), macs=1000) == {"a": 0.5}


def test_a_layer_is_never_emptied():
    rows = [("a", 0.0, 8, 40, 9, 100), ("a", 0.5, 4, 10, 9, 60), ("a", 0.9, 0, 40, 9, 5)]
    assert solve(table(rows), macs=60) == {"a": 0.5}
    with pytest.raises(ValueError, match=r"`macs` cannot go below 60 .* got the budget 59"):
        solve(table(rows), macs=59)


def test_what_a_budget_may_be():
    frame = scanned(build("lenet-5"), (1, 28, 28))
    whole = frame.attrs["whole"]["macs"]
    half = solve(frame, macs=0.5)
    assert half == solve(frame, macs=whole // 2) == solve(frame, macs=np.int64(whole // 2))
    assert half == solve(frame, macs=whole / 2) == solve(frame, macs=np.float32(0.5))
    assert half != solve(frame, macs=1.0) == solve(frame, macs=whole)
    with pytest.raises(ValueError, match=r"got the budget 1$"):
        solve(frame, macs=1)


def test_the_curves_are_unchanged_and_their_index_does_not_matter():
    frame = scanned(build("lenet-5"), (1, 28, 28))
    before, attrs = frame.copy(), dict(frame.attrs)
    found = solve(frame, macs=0.4)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == attrs
    again = frame.set_axis([0] * len(frame))
    again.attrs = attrs
    assert solve(again, macs=0.4) == found == solve(frame.astype({"macs": float}), macs=0.4)


def test_the_solved_network_really_costs_what_was_asked_for():
    torch.manual_seed(0)
    net, images = build("lenet-5", 3, 1), split(24, size=28)
    x, _ = images.batch(slice(0, 1))
    groups = trace(net, x)
    curves = scan(net, images, ratios=[0.0, 0.3, 0.6, 0.9], progress=False)
    whole = curves[curves.ratio == 0].iloc[0]
    curves.attrs["whole"] = {c: whole[c] for c in ("accuracy", "correct", "params", "macs")}
    curves.attrs["price"] = price(net, x, groups).to_dict()
    budget = cost.measure(net, x).macs // 2
    said = predict(curves, solve(curves, macs=budget))
    order = ranking(net, groups, "l1")
    keep = {name: scores.best(order[name], said.kept[name]) for name in groups}
    small = cost.measure(surgery.shrink(net, groups, keep), x)
    assert small.macs <= budget
    assert (said.macs, said.params) == (small.macs, small.params)

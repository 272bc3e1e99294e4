"""Methods at one size: interpolation, differences that are proved, ranks with ties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from prunelab.masks import packed
from prunelab.study.contest import Entry, at_size, difference, holm, standings
from prunelab.study.results import Run


def run(size, right, seed=0):
    return Run(None, f"{size}-{seed}", seed, {"size": size, "correct": packed(np.array(right))})


def size(run):
    return run.values["size"]


def entry(rate, seeds=3, images=2000, noise=0):
    rng = np.random.default_rng(noise)
    return Entry((rng.random((seeds, images)) < rate).astype(float), tuple(range(seeds)))


def test_between_two_networks_images_count_in_proportion_to_the_logarithm():
    small, large = run(1.0, [True, False, False]), run(4.0, [True, True, False])
    found = at_size([large, small], size, 2.0)
    assert found.correct.tolist() == [[1.0, 0.5, 0.0]] and found.seeds == (0,)
    assert at_size([large, small], size, 4.0).correct.tolist() == [[1.0, 1.0, 0.0]]
    assert at_size([large, small], size, 1.0).correct.tolist() == [[1.0, 0.0, 0.0]]


def test_nothing_is_extrapolated_and_each_seed_has_its_own_frontier():
    runs = [run(1.0, [True]), run(2.0, [True]), run(3.0, [False], 1), run(5.0, [True], 1)]
    assert at_size(runs, size, 0.9) is None and at_size(runs, size, 2.5) is None
    assert at_size(runs, size, 1.5).seeds == (0,) and at_size(runs, size, 4.0).seeds == (1,)
    assert at_size(runs[:1], size, 1.0) is None  # one network is no frontier


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(0.2, 0.9), st.integers(0, 1000))
def test_of_one_seed_the_interval_is_the_paired_one_over_images_and_nothing_is_tested(rate, noise):
    a, b = entry(rate, 1, 500, noise), entry(0.5, 1, 500, noise + 1)
    found, expected = difference(a, b), ttest_rel(a.correct[0], b.correct[0])
    assert found.p is None
    low, high = expected.confidence_interval(0.95)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))


def test_scatter_between_seeds_widens_the_interval():
    a, b = entry(0.9), entry(0.9, noise=1)
    calm = difference(a, b)
    shaken = Entry(a.correct * np.array([[1.0], [0.9], [0.8]]), a.seeds)
    assert difference(shaken, b).half > 2 * calm.half
    assert difference(b, a).mean == -calm.mean and difference(b, a).p == calm.p


def test_only_common_seeds_are_compared():
    a, b = entry(0.9), entry(0.8, noise=1)
    moved = Entry(b.correct, (2, 3, 4))
    assert difference(a, moved).seeds == 1
    assert difference(a, Entry(b.correct, (7, 8, 9))) is None
    assert difference(a, a).p == 1.0 and difference(a, a).half == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_no_smaller_keeps_the_order_and_is_at_most_bonferroni(p):
    found = holm(p)
    for before, after in zip(p, found):
        assert before <= after <= min(1.0, len(p) * before) + 1e-12
    order = np.argsort(p, kind="stable")
    assert all(a <= b for a, b in zip(np.array(found)[order], np.array(found)[order][1:]))


def test_holms_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_ranks_have_ties_where_nothing_is_proved():
    found = standings({
        "good": entry(0.95), "same": entry(0.95, noise=1), "bad": entry(0.6, noise=2),
    })  # fmt: skip
    assert [found[name].rank for name in ("good", "same", "bad")] == [1, 1, 3]
    assert [found[name].last for name in ("good", "same", "bad")] == [2, 2, 3]
    assert found["good"].ties == ("same",) and found["bad"].ties == ()
    best = next(iter(found))
    assert found[best].behind is None and best in ("good", "same")
    behind = found["bad"].behind
    assert behind.mean == pytest.approx(found[best].accuracy - found["bad"].accuracy)
    assert behind.p < 1e-6 and math.isfinite(behind.half)
    assert standings({}) == {}


def test_one_seed_proves_nothing_however_large_the_difference():
    found = standings({"good": entry(0.95, 1), "bad": entry(0.3, 1, noise=1)})
    assert (
        [one.rank for one in found.values()] == [one.last for one in found.values()] == [None] * 2
    )
    assert found["good"].ties == ("bad",) and found["bad"].behind.half > 0
    mixed = standings({"good": entry(0.95), "bad": entry(0.3, noise=1), "one": entry(0.1, 1)})
    assert {name: one.rank for name, one in mixed.items()} == {"good": 1, "bad": 2, "one": None}
    assert mixed["bad"].last == 3 and mixed["one"].ties == ("good", "bad")

"""Error against size."""

from itertools import combinations

import pandas as pd
import pytest
from helpers.figures import fits_a_page, legend_of, lines
from scipy.stats import ttest_1samp

from prunelab import plots

SIZE_COLUMNS = "method setting seed weights_pct activations_pct error".split()


def runs():
    """VIBNet at three strengths, two other methods at one, three seeds each."""
    points = [
        ("VIBNet", "kl 1", 20.0, 44.0, 0.014), ("VIBNet", "kl 4", 5.0, 21.0, 0.018),
        ("VIBNet", "kl 8", 2.0, 14.0, 0.026), ("BC-GNJ", "BC-GNJ", 11.0, 33.0, 0.018),
        ("L0", "L0", 26.0, 45.0, 0.015),
    ]  # fmt: skip
    rows = [
        (method, setting, seed, weights + seed, activations + seed, error + 0.001 * seed)
        for method, setting, weights, activations, error in points
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=SIZE_COLUMNS)


def many(number):
    """As many methods, one run each."""
    one = runs()[:1]
    return pd.concat(
        [one.assign(method=f"method {i}", error=i / 100 + 0.01) for i in range(number)]
    )


PRINTED = pd.DataFrame(
    [("VD", 25.28, 58.95, 0.018), ("BC-GNJ", 10.76, 32.85, 0.018), ("BC-GHS", 10.55, 34.71, 0.018),
     ("L0", 26.02, 45.02, 0.014), ("L0-sep", 10.01, 32.69, 0.018), ("DN", 23.05, 57.94, 0.018),
     ("VIBNet", 3.59, 16.98, 0.016)],
    columns="method weights_pct activations_pct error".split(),
)  # fmt: skip
ROW = pd.DataFrame(
    [("BC-GNJ", 0.95, 0.01), ("BC-GHS", 0.64, 0.01), ("L0-sep", 1.08, 0.01), ("VIBNet", 0.83, 0.01),
     ("SBP", 19.66, 0.009), ("GL", 23.69, 0.01), ("GD", 1.38, 0.011)],
    columns="method weights_pct error".split(),
)  # fmt: skip
FIGURES = {
    "sizes": lambda: plots.size_frontier(runs(), PRINTED, "weights_pct", "LeNet"),
    "sizes in activations": lambda: plots.size_frontier(runs(), PRINTED, "activations_pct"),
    "sizes, ours": lambda: plots.size_frontier(runs(), title="LeNet"),
    "sizes, one run": lambda: plots.size_frontier(runs()[:1], title="LeNet"),
    "sizes, stars on a line": lambda: plots.size_frontier(pd.DataFrame(), ROW),
    "sizes, bars": lambda: plots.size_frontier(runs(), bars=True),
    "panels": lambda: plots.size_frontiers(runs(), "LeNet"),
    "one panel": lambda: plots.size_frontiers(runs().drop(columns="activations_pct")),
    "panels, many methods": lambda: plots.size_frontiers(many(18), "LeNet", log_error=True),
    "sizes, print": lambda: plots.size_frontier(pd.DataFrame(), PRINTED),
}


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_can_be_read_no_legend_is_empty_and_the_figure_fits_a_page(name):
    fits_a_page(FIGURES[name]())


@pytest.mark.parametrize(
    "fig",
    [
        plots.size_frontier(pd.DataFrame(), None, "weights_pct", "t"),
        plots.size_frontier(runs()[:0], PRINTED[:0], "weights_pct", "t"),
        plots.size_frontiers(pd.DataFrame(), "t"),
    ],
    ids=["sizes", "sizes without rows", "panels"],
)
def test_missing_rows_are_drawn_as_not_measured(fig):
    assert fig.axes[0].texts[0].get_text() == "t: not measured yet"


# sizes


@pytest.mark.parametrize("x", ["weights_pct", "activations_pct"])
def test_a_method_of_several_settings_is_a_line_through_the_means_of_its_seeds(x):
    (ax,) = plots.size_frontier(runs(), PRINTED, x).axes
    line = lines(ax)["VIBNet"]
    means = runs()[:9].groupby("setting")[[x, "error"]].mean().sort_values(x)
    assert line.get_xdata() == pytest.approx(means[x])
    assert line.get_ydata() == pytest.approx(100 * means.error)
    dots = ax.lines[ax.lines.index(line) - 1]
    assert dots.get_linestyle() == "None"
    assert sorted(dots.get_xdata()) == sorted(runs()[:9][x])
    assert dots.get_color() == line.get_color()
    assert ax.get_xscale() == "log"
    assert x.split("_")[0] in ax.get_xlabel() and "%" in ax.get_xlabel()


def test_printed_values_are_hollow_stars_in_the_colour_of_their_method_where_the_size_is_known():
    printed = PRINTED.assign(weights_pct=PRINTED.weights_pct.where(PRINTED.method != "VD"))
    (ax,) = plots.size_frontier(runs(), printed, "weights_pct").axes
    stars = [x for x in ax.lines if x.get_marker() == "*" and len(x.get_xdata())]
    assert [x.get_xdata()[0] for x in stars] == printed.weights_pct.dropna().tolist()
    assert {x.get_markerfacecolor() for x in stars} == {"none"}
    assert stars[-1].get_markeredgecolor() == lines(ax)["VIBNet"].get_color()
    assert len({x.get_markeredgecolor() for x in stars}) == len(stars) == 6
    named = ["one seed", "VIBNet", "BC-GNJ", "L0"]
    named += [f"{name}, printed" for name in ("BC-GHS", "L0-sep", "DN")]
    assert legend_of(ax) == [*named, "printed"]


def test_a_method_looks_the_same_beside_whatever_others_when_the_order_is_given():
    order, looks = ["VIBNet", "L0", "BC-GNJ"], []
    for points in (runs(), runs()[runs().method == "L0"]):
        (ax,) = plots.size_frontier(points, order=order).axes
        looks.append((lines(ax)["L0"].get_color(), lines(ax)["L0"].get_marker()))
    assert looks[0] == looks[1]


def test_no_mark_of_ours_is_a_star():
    (ax,) = plots.size_frontier(many(15)).axes
    assert "*" not in {line.get_marker() for line in ax.lines}


def test_an_unknown_size_is_refused():
    with pytest.raises(
        ValueError, match=r"`x` must be one of weights_pct, .*, seconds_pct; got 'm"
    ):
        plots.size_frontier(runs(), None, "macs")


def means_of(ax):
    """The lines through means, as (colour, mark, dashes)."""
    found = [line for line in ax.lines if line.get_markersize() > 6]
    return [(line.get_color(), line.get_marker(), line._dash_pattern) for line in found]


def test_ten_methods_have_ten_colours_and_ten_marks():
    (ax,) = plots.size_frontier(many(10)).axes
    assert len({look[0] for look in means_of(ax)}) == len({look[1] for look in means_of(ax)}) == 10


def test_methods_that_share_a_colour_differ_in_mark_and_in_dashes():
    (ax,) = plots.size_frontier(many(18)).axes
    looks = means_of(ax)
    assert len(looks) == 18
    for one, other in combinations(looks, 2):
        assert one[0] != other[0] or (one[1] != other[1] and one[2] != other[2])


def test_bars_are_95_percent_intervals_over_seeds():
    (ax,) = plots.size_frontier(runs()[3:6], bars=True).axes
    (low, high) = ax.collections[0].get_segments()[0][:, 1]
    middle = 100 * runs()[3:6].error.mean()
    half = 100 * ttest_1samp(runs()[3:6].error, 0).confidence_interval().high - middle
    assert (low, high) == pytest.approx((middle - half, middle + half))
    (ax,) = plots.size_frontier(runs()[:1], bars=True).axes  # one seed has no interval
    ((_, low), (_, high)) = ax.collections[0].get_segments()[0]
    assert low == high


def test_a_panel_for_each_scale_has_the_same_looks_and_only_what_saves_on_it():
    points = runs().assign(seconds_pct=50.0)
    points.loc[points.method == "L0", "seconds_pct"] = float("nan")
    weights, activations, seconds, empty = plots.size_frontiers(points).axes
    assert set(means_of(weights)) == set(means_of(activations)) > set(means_of(seconds))
    assert [ax.get_xlabel() for ax in (weights, activations, seconds)] == [
        "weights left (%)", "activations left (%)", "latency (%)",
    ]  # fmt: skip
    assert not empty.get_visible() and len(means_of(seconds)) == 2


def test_points_without_a_scale_are_refused():
    with pytest.raises(ValueError, match=r"^size_frontiers: `points` must be with one of"):
        plots.size_frontiers(runs().drop(columns=["weights_pct", "activations_pct"]))

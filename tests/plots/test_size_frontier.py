"""Error against size."""

import pandas as pd
import pytest
from helpers.figures import fits_a_page, legend_of, lines

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
    ],
    ids=["sizes", "sizes without rows"],
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
    many = pd.concat([runs()[9:10].assign(method=f"m{i}", error=i / 100) for i in range(15)])
    (ax,) = plots.size_frontier(many).axes
    assert "*" not in {line.get_marker() for line in ax.lines}


def test_an_unknown_size_is_refused():
    with pytest.raises(
        ValueError, match=r"`x` must be one of weights_pct, .*, seconds_pct; got 'm"
    ):
        plots.size_frontier(runs(), None, "macs")


def test_eight_methods_have_eight_colours_and_eight_marks():
    one = runs()[:1]
    many = pd.concat([one.assign(method=f"method {i}") for i in range(8)])
    (ax,) = plots.size_frontier(many).axes
    means = [line for line in ax.lines if line.get_markersize() > 6 and len(line.get_xdata()) == 1]
    looks = {(line.get_color(), line.get_marker()) for line in means}
    assert len({colour for colour, _ in looks}) == len({mark for _, mark in looks}) == 8

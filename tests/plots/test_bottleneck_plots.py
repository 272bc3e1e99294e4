"""Figures of units that noise removes: what lies on the axes, and that all words can be read."""

from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers.figures import legend_of, lines, ticks, unreadable
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb

from prunelab import plots
from prunelab.plots.bottleneck import OVERLAP
from prunelab.plots.frame import STYLE
from prunelab.plots.names import RIM, Name, label

EDGES = tuple(range(-14, 13))
WHOLE = {"fc1.inputs": 784, "fc1": 300, "fc2": 100}
LEFT = {"fc1.inputs": 98, "fc1": 75, "fc2": 30}
SIZE_COLUMNS = "method setting seed weights_pct activations_pct error".split()


def shots(moments=(0, 4, 30), places=WHOLE, unit="epoch"):
    """Units that start at -9 and part: three quarters go to +7, the rest to -3."""
    rows = []
    for moment in moments:
        for place, size in dict(places).items():
            counts = [0] * (len(EDGES) - 1)
            for at, share in ((-9, 1),) if moment == 0 else ((-3, 0.25), (7, 0.75)):
                counts[EDGES.index(at)] = round(share * size)
            rows.append({"place": place, unit: moment, "counts": counts})
    return pd.DataFrame(rows)


def course(epochs=20, seeds=(0,), left=LEFT):
    """Units fall evenly from all to `left`; each further seed keeps 2 more."""
    rows = [
        (place, epoch, size - (size - left[place] - 2 * seed) * epoch / epochs, size, seed)
        for seed in seeds
        for epoch in range(epochs + 1)
        for place, size in WHOLE.items()
    ]
    return pd.DataFrame(rows, columns="place epoch units size seed".split())


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
CURVE = pd.DataFrame({"epoch": [0, 15, 50, 200], "left": [1.0, 1.0, 0.41, 0.18]})
LAST = pd.DataFrame({"place": ["fc1.inputs", "fc2"], "units": [97, 33]})
VGG = {f"conv{i}": 64 for i in range(1, 7)}


def mask(kept=39):
    found = np.zeros(784, bool)
    found[np.random.default_rng(0).permutation(784)[:kept]] = True
    return found.reshape(28, 28)


def image():
    return np.random.default_rng(1).random((28, 28))


def left(**options):
    return plots.units_left(LEFT, WHOLE, "LeNet-300-100 on MNIST\nkl 0.0005, seed 0", **options)


FIGURES = {
    "log ratios": lambda: plots.log_ratios(shots(), EDGES, "LeNet"),
    "log ratios of one place": lambda: plots.log_ratios(shots(places={"fc": 9}), EDGES, "LeNet"),
    "log ratios of four": lambda: plots.log_ratios(
        shots(places=WHOLE | {"conv1": 20}), EDGES, "LeNet"
    ),
    "log ratios of a VGG": lambda: plots.log_ratios(shots((0, 30), VGG), EDGES, "VGG"),
    "log ratios by step": lambda: plots.log_ratios(
        shots((0, 60_000, 120_000), unit="step"), EDGES, "LeNet"
    ),
    "widths": lambda: plots.widths(course(), "LeNet"),
    "widths of a still run": lambda: plots.widths(course(2, left=WHOLE), "LeNet"),
    "widths beside print": lambda: plots.widths(course(100, (0, 1, 2)), "LeNet", LAST, CURVE),
    "pixels": lambda: plots.pixels(mask(), "LeNet-300-100 on MNIST", image()),
    "pixels alone": lambda: plots.pixels(mask(784)),
    "units left": lambda: left(mask=mask(98), mean_image=image(), printed=LEFT),
    "units left without pixels": lambda: left(),
    "units left of a VGG": lambda: plots.units_left(VGG, VGG, "VGG"),
    "sizes": lambda: plots.size_frontier(runs(), PRINTED, "weights_pct", "LeNet"),
    "sizes in activations": lambda: plots.size_frontier(runs(), PRINTED, "activations_pct"),
    "sizes, ours": lambda: plots.size_frontier(runs(), title="LeNet"),
    "sizes, one run": lambda: plots.size_frontier(runs()[:1], title="LeNet"),
    "sizes, stars on a line": lambda: plots.size_frontier(pd.DataFrame(), ROW),
    "sizes, print": lambda: plots.size_frontier(pd.DataFrame(), PRINTED),
}


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_can_be_read_no_legend_is_empty_and_the_figure_fits_a_page(name):
    fig = FIGURES[name]()
    assert unreadable(fig) == []
    assert fig.get_figwidth() <= 8.4


@pytest.mark.parametrize(
    "fig", [
        plots.log_ratios(pd.DataFrame(), EDGES, "t"), plots.widths(pd.DataFrame(), "t"),
        plots.pixels(None, "t"), plots.units_left({}, {}, "t"),
        plots.size_frontier(pd.DataFrame(), None, "weights_pct", "t"),
        plots.size_frontier(runs()[:0], PRINTED[:0], "weights_pct", "t"),
    ], ids=["log ratios", "widths", "pixels", "units left", "sizes", "sizes without rows"],
)  # fmt: skip
def test_missing_rows_are_drawn_as_not_measured(fig):
    assert fig.axes[0].texts[0].get_text() == "t: not measured yet"


# log ratios


def ridges(ax):
    """Row -> its filled histograms, kept and removed, and its outline."""
    found = {}
    for patch in ax.patches:
        found.setdefault(float(patch.get_data().baseline), []).append(patch)
    return {row: found[row] for row in sorted(found)}


def test_each_place_is_a_panel_and_each_moment_a_histogram_from_the_top_down():
    fig = plots.log_ratios(shots(), EDGES, "LeNet")
    assert [ax.get_title("left") for ax in fig.axes] == list(WHOLE)
    for ax in fig.axes:
        assert list(ridges(ax)) == [0, 1, 2]
        assert ax.yaxis_inverted()
        assert ticks(ax.yaxis) == {"0": 0, "4": 1, "30": 2} or ax is not fig.axes[0]
    assert fig.axes[0].get_ylabel() == "epoch of training"
    assert fig.get_suptitle() == "LeNet"


def test_a_histogram_is_as_high_as_its_largest_bin_and_in_proportion():
    counts = shots().iloc[-1].counts
    for ax in plots.log_ratios(shots(), EDGES).axes:
        *_, outline = ridges(ax)[2]
        height = (2 - outline.get_data().values) / OVERLAP
        assert height == pytest.approx(np.array(counts) / max(counts))
        assert list(outline.get_data().edges) == list(EDGES)


def test_left_of_the_threshold_is_kept_in_blue_and_right_of_it_removed_in_orange():
    ax = plots.log_ratios(shots(), EDGES).axes[0]
    for row, (kept, removed, _) in ridges(ax).items():
        assert kept.get_data().edges[[0, -1]].tolist() == [-14, 0]
        assert removed.get_data().edges[[0, -1]].tolist() == [0, 12]
        (red, _, blue), (other_red, _, other_blue) = (
            to_rgb(patch.get_facecolor()) for patch in (kept, removed)
        )
        assert blue > red and other_red > other_blue, row
    threshold = next(line for line in ax.lines if list(line.get_xdata()) == [0, 0])
    assert threshold.get_linestyle() == "--"
    assert {text.get_text().strip(): text.get_ha() for text in ax.texts} == {
        "kept": "right", "removed": "left",
    }  # fmt: skip


def test_later_moments_are_darker():
    for ax in plots.log_ratios(shots(range(8)), EDGES).axes:
        for side in (0, 1):
            light = [sum(to_rgb(row[side].get_facecolor())) for row in ridges(ax).values()]
            assert all(a > b for a, b in zip(light, light[1:]))


def test_a_moment_that_a_place_lacks_leaves_its_row_empty():
    points = shots().drop(index=3)  # fc1.inputs at epoch 4
    first, second, _ = plots.log_ratios(points, EDGES).axes
    assert (list(ridges(first)), list(ridges(second))) == ([0, 2], [0, 1, 2])


def test_units_beyond_the_edges_are_spoken_of_where_there_are_any():
    inside, beyond = shots(), shots()
    beyond.loc[0, "counts"][-1] += 1
    label = plots.log_ratios(inside, EDGES).get_supxlabel()
    assert label == "log (σ² / μ²) of the units"
    assert "hold all beyond" in plots.log_ratios(beyond, EDGES).get_supxlabel()


def test_steps_are_used_where_there_are_no_epochs():
    ax = plots.log_ratios(shots((0, 60_000), unit="step"), EDGES).axes[0]
    assert ax.get_ylabel() == "step of training"
    assert list(ticks(ax.yaxis)) == ["0", "60,000"]


@pytest.mark.parametrize(
    ("points", "edges", "message"),
    [
        (shots(), (-1.5, 0.5, 2), r"0, the threshold, .* got \[-1.5, 0.5, 2.0\]"),
        (shots(), (-1, 0, 1), "`counts` must have 2 entries, .* got 26"),
        (pd.concat([shots(), shots()]), EDGES, "one run, got epoch 0 of fc1.inputs twice"),
    ],
)
def test_bins_that_do_not_fit_are_refused(points, edges, message):
    with pytest.raises(ValueError, match=f"log_ratios: .*{message}"):
        plots.log_ratios(points, edges)


# widths


def test_units_left_are_in_percent_of_their_place_and_counted_in_the_legend():
    (ax,) = plots.widths(course(), "LeNet").axes
    assert list(lines(ax)) == ["fc1.inputs: 784 → 98", "fc1: 300 → 75", "fc2: 100 → 30"]
    assert lines(ax)["fc1: 300 → 75"].get_ydata()[[0, 10, 20]] == pytest.approx([100, 62.5, 25])
    assert ax.get_title("left") == "LeNet"
    assert ax.get_xlabel() == "epochs of training"


def test_the_axis_is_log_only_where_few_units_are_left():
    (few,), (many,) = plots.widths(course()).axes, plots.widths(course(left=WHOLE)).axes
    assert (few.get_yscale(), many.get_yscale()) == ("log", "linear")
    assert {"20%": 20, "50%": 50, "100%": 100}.items() <= ticks(few.yaxis).items()
    assert many.get_ylim() == (0, 105)
    assert "%" in many.get_ylabel()
    assert all(text.isdigit() for text in ticks(many.xaxis))  # whole epochs


def test_seeds_are_thin_lines_around_their_mean_and_a_span_in_the_legend():
    (ax,) = plots.widths(course(seeds=(0, 1, 2))).axes
    mean = lines(ax)["fc2: 100 → 30–34"]
    assert mean.get_ydata()[-1] == pytest.approx(32)
    thin = [x for x in ax.lines if x is not mean and x.get_color() == mean.get_color()]
    assert sorted(x.get_ydata()[-1] for x in thin) == pytest.approx([30, 32, 34])
    assert max(x.get_linewidth() for x in thin) < mean.get_linewidth()
    assert len(plots.widths(course()).axes[0].lines) == 3  # no thin line for one seed


def test_printed_widths_are_hollow_stars_at_our_end_and_unknown_places_are_left_out():
    printed = pd.concat([LAST, pd.DataFrame({"place": ["conv9"], "units": [5]})])
    (ax,) = plots.widths(course(), "", printed).axes
    stars = [x for x in ax.lines if x.get_marker() == "*" and len(x.get_xdata())]
    assert [(x.get_xdata()[0], x.get_ydata()[0]) for x in stars] == [
        (20, pytest.approx(100 * 97 / 784)), (20, pytest.approx(33)),
    ]  # fmt: skip
    assert {x.get_markerfacecolor() for x in stars} == {"none"}
    assert [x.get_markeredgecolor() for x in stars] == [
        lines(ax)[name].get_color() for name in ("fc1.inputs: 784 → 98", "fc2: 100 → 30")
    ]
    assert legend_of(ax)[-1] == "printed, last widths"
    (ax,) = plots.widths(course(), "", printed[2:]).axes
    assert "printed, last widths" not in legend_of(ax)


def test_a_printed_curve_stands_beside_the_sum_of_our_units():
    (ax,) = plots.widths(course(seeds=(0, 1)), "", None, CURVE).axes
    ours, theirs = lines(ax)["all: 1,184 → 203–209"], lines(ax)["all, printed curve"]
    assert ours.get_ydata()[-1] == pytest.approx(100 * (203 + 209) / 2 / 1184)
    assert theirs.get_ydata() == pytest.approx([100, 100, 41, 18])
    assert (ours.get_linestyle(), theirs.get_linestyle()) == ("-", "--")
    assert ax.get_xlim()[1] >= 200


# pixels


def test_kept_pixels_are_blue_and_counted():
    (ax,) = plots.pixels(mask(), "LeNet").axes
    (picture,) = ax.images
    assert np.array_equal(picture.get_array()[..., 3] > 0, mask())
    assert to_hex(picture.get_array()[mask()][0]) == "#0072b2"
    assert ax.get_title("left") == "LeNet\n39 of 784 pixels kept (5.0%)"
    assert legend_of(ax) == ["kept"]


def test_the_mean_image_lies_faintly_below():
    (ax,) = plots.pixels(mask(), "", image()).axes
    below, _ = ax.images
    assert np.array_equal(below.get_array(), image())
    assert min(to_rgb(below.to_rgba(image().max()))) > 0.5
    assert legend_of(ax) == ["kept", "mean image"]
    assert ax.get_title("left") == "39 of 784 pixels kept (5.0%)"


@pytest.mark.parametrize("name", ["pixels", "units_left"])
def test_pictures_of_different_shapes_are_refused(name):
    message = rf"{name}: `mean_image` .* \(28, 28\), got \(8, 8\)"
    with pytest.raises(ValueError, match=message):
        if name == "pixels":
            plots.pixels(mask(), "", np.zeros((8, 8)))
        left(mask=mask(), mean_image=np.zeros((8, 8)))


# units left


def test_bars_are_shares_of_the_whole_with_counts_beside():
    (ax,) = left().axes
    share = [100 * LEFT[place] / WHOLE[place] for place in WHOLE]
    assert [bar.get_width() for bar in ax.containers[0]] == pytest.approx(share)
    assert [bar.get_width() for bar in ax.containers[1]] == [100] * 3
    assert ticks(ax.yaxis) == {"fc1.inputs\n98 of 784": 0, "fc1\n75 of 300": 1, "fc2\n30 of 100": 2}
    assert ax.yaxis_inverted()  # the input is on top
    assert legend_of(ax) == ["left", "removed"]
    assert "%" in ax.get_xlabel()


def test_pixels_stand_beside_the_bars_and_printed_widths_are_stars_on_them():
    picture, ax = left(mask=mask(98), printed={"fc2": 33, "conv9": 1}).axes
    assert picture.get_title("left") == "98 of 784 pixels kept (12.5%)"
    assert picture.get_position().x1 < ax.get_position().x0
    stars = lines(ax)["printed"]
    assert (list(stars.get_xdata()), list(stars.get_ydata())) == ([33], [2])
    assert "printed" not in lines(left(printed={"conv9": 1}).axes[0])


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


def named(ax):
    """Name and weight of the letters -> the mark that it belongs to."""
    return {(text.get_text(), text.get_weight()): text.xy for text in ax.texts}


def test_other_methods_are_marks_with_bold_names_and_not_in_the_legend():
    (ax,) = plots.size_frontier(runs()).axes
    assert legend_of(ax) == ["one seed", "VIBNet", "mean of the seeds"]
    assert named(ax) == {
        ("BC-GNJ", "bold"): (12, pytest.approx(1.9)), ("L0", "bold"): (27, pytest.approx(1.6)),
    }  # fmt: skip
    colours = {text.get_color() for text in ax.texts} | {lines(ax)["VIBNet"].get_color()}
    assert len(colours) == 3


def test_printed_values_are_hollow_stars_with_plain_names_where_the_size_is_known():
    printed = PRINTED.assign(weights_pct=PRINTED.weights_pct.where(PRINTED.method != "VD"))
    (ax,) = plots.size_frontier(pd.DataFrame(), printed, "weights_pct").axes
    stars = [x for x in ax.lines if x.get_marker() == "*" and len(x.get_xdata())]
    assert len(stars) == 6
    assert {x.get_markerfacecolor() for x in stars} == {"none"}
    assert named(ax)[("VIBNet", "normal")] == (3.59, pytest.approx(1.6))
    assert ("VD", "normal") not in named(ax)
    assert legend_of(ax) == ["printed in a paper"]


def test_a_method_looks_the_same_beside_whatever_others_when_the_order_is_given():
    order, looks = ["VIBNet", "L0", "BC-GNJ"], []
    for points in (runs(), runs()[runs().method == "L0"]):
        (ax,) = plots.size_frontier(points, order=order).axes
        [text] = [t for t in ax.texts if t.get_text() == "L0"]
        marks = {m.get_marker() for m in ax.lines if (27, 1.6) in zip(*m.get_data())}
        looks.append((text.get_color(), marks))
    assert looks[0] == looks[1] and len(looks[0][1]) == 1


def test_no_mark_of_ours_is_a_star():
    many = pd.concat([runs()[9:10].assign(method=f"m{i}", error=i / 100) for i in range(15)])
    (ax,) = plots.size_frontier(many).axes
    assert "*" not in {line.get_marker() for line in ax.lines}


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="`x` must be one of weights_pct, activations_pct; got 'm"):
        plots.size_frontier(runs(), None, "macs")


# As far from the edges as marks are: a frontier has room around them.
PLACE = st.tuples(st.floats(0.05, 0.95), st.floats(0.1, 0.9))


@settings(max_examples=20, deadline=None)
@given(st.lists(PLACE, min_size=1, max_size=8, unique=True))
def test_names_never_cover_each_other_or_leave_the_axes(places):
    """Also in the densest of clusters."""
    with mpl.style.context(STYLE):
        fig, ax = plt.subplots(figsize=(8.4, 4.8))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.plot(*zip(*places), "o")
    label(fig, ax, [Name(f"BC-GNJ {i}", *place) for i, place in enumerate(places)])
    plt.close(fig)
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert all(ax.bbox.padded(1).contains(*corner) for b in boxes for corner in (b.min, b.max))


def test_names_keep_clear_of_the_marks_of_others_and_far_ones_have_a_line_to_their_own():
    fig = plots.size_frontier(pd.DataFrame(), ROW, "weights_pct")  # four stars on one line
    fig.draw_without_rendering()
    (ax,) = fig.axes
    marks = ax.transData.transform([text.xy for text in ax.texts])
    for text in ax.texts:
        assert not text.get_window_extent().padded(5).count_contains(marks), text
    leaders = [x for x in ax.lines if not x.get_transform().contains_branch(ax.transData)]
    off = [text for text in ax.texts if text.get_position()[1]]
    assert len(leaders) == len(off) > 0
    starts = [x.get_transform().transform(x.get_xydata())[0] for x in leaders]
    for text, start in zip(off, starts):
        away = start - ax.transData.transform(text.xy)
        assert np.hypot(*away) == pytest.approx(RIM * fig.dpi / 72)


def test_eight_methods_have_eight_colours_and_eight_marks():
    one = runs()[:1]
    many = pd.concat([one.assign(method=f"method {i}") for i in range(8)])
    (ax,) = plots.size_frontier(many).axes
    means = [line for line in ax.lines if line.get_markersize() > 6 and len(line.get_xdata()) == 1]
    looks = {(line.get_color(), line.get_marker()) for line in means}
    assert len({colour for colour, _ in looks}) == len({mark for _, mark in looks}) == 8

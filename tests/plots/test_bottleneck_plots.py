"""Noise ratios and widths while a network trains: what lies on the axes."""

import numpy as np
import pandas as pd
import pytest
from helpers.figures import fits_a_page, legend_of, lines, ticks
from matplotlib.colors import to_rgb

from prunelab import plots
from prunelab.plots.bottleneck import OVERLAP

EDGES = tuple(range(-14, 13))
WHOLE = {"fc1.inputs": 784, "fc1": 300, "fc2": 100}
LEFT = {"fc1.inputs": 98, "fc1": 75, "fc2": 30}


def shots(moments=(0, 4, 30), places=WHOLE):
    """Units that start at -9 and part: three quarters go to +7, the rest to -3."""
    rows = []
    for moment in moments:
        for place, size in dict(places).items():
            counts = [0] * (len(EDGES) - 1)
            for at, share in ((-9, 1),) if moment == 0 else ((-3, 0.25), (7, 0.75)):
                counts[EDGES.index(at)] = round(share * size)
            rows.append({"place": place, "epoch": moment, "counts": counts})
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


CURVE = pd.DataFrame({"epoch": [0, 15, 50, 200], "left": [1.0, 1.0, 0.41, 0.18]})
LAST = pd.DataFrame({"place": ["fc1.inputs", "fc2"], "units": [97, 33]})
VGG = {f"conv{i}": 64 for i in range(1, 7)}

FIGURES = {
    "log ratios": lambda: plots.log_ratios(shots(), EDGES, "LeNet"),
    "log ratios of one place": lambda: plots.log_ratios(shots(places={"fc": 9}), EDGES, "LeNet"),
    "log ratios of four": lambda: plots.log_ratios(
        shots(places=WHOLE | {"conv1": 20}), EDGES, "LeNet"
    ),
    "log ratios of a VGG": lambda: plots.log_ratios(shots((0, 30), VGG), EDGES, "VGG"),
    "widths": lambda: plots.widths(course(), "LeNet"),
    "widths of a still run": lambda: plots.widths(course(2, left=WHOLE), "LeNet"),
    "widths beside print": lambda: plots.widths(course(100, (0, 1, 2)), "LeNet", LAST, CURVE),
}


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_can_be_read_no_legend_is_empty_and_the_figure_fits_a_page(name):
    fits_a_page(FIGURES[name]())


@pytest.mark.parametrize(
    "fig",
    [plots.log_ratios(pd.DataFrame(), EDGES, "t"), plots.widths(pd.DataFrame(), "t")],
    ids=["log ratios", "widths"],
)
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


@pytest.mark.parametrize("edges", [(-1.5, 0.5, 2), (-1, 0, 1)])
def test_bins_that_do_not_fit_are_refused(edges):
    with pytest.raises(ValueError, match="log_ratios: `edges` must be 0, the threshold, among"):
        plots.log_ratios(shots(), edges)


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

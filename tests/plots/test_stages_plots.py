"""Figures of methods that decide layer after layer."""

import pandas as pd
import pytest
from helpers.figures import unreadable
from helpers.stages import DIFFERENCES, EDGES, MEANS, place, run
from matplotlib.colors import to_hex

from prunelab import plots
from prunelab.plots.frame import BLUE, GREY, ORANGE

FIGURES = {
    "means": lambda: plots.means(MEANS, 0.05, "a net"),
    "step, few": lambda: plots.noise_step(run()["moments"][2]["places"], 0.05, EDGES, "a net"),
    "step, many": lambda: plots.noise_step(
        run(few=False)["moments"][0]["places"], 0.05, EDGES, "a net"
    ),
    "differences": lambda: plots.differences(DIFFERENCES, "a net"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_can_be_read(name):
    assert not unreadable(FIGURES[name]())


def test_the_means_have_a_row_per_arm_and_a_column_per_layer_and_bands_where_there_is_noise():
    fig = FIGURES["means"]()
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in fig.axes]
    assert titles == [
        "fc1, forward", "fc2, forward", "fc1, throughout", "fc2, throughout",
    ]  # fmt: skip
    assert [len(ax.lines) for ax in fig.axes] == [4, 3, 4, 3]  # channels and the limit
    first = fig.axes[0].lines[2]
    assert list(first.get_ydata()) == pytest.approx([1.0, 0.1, -0.8, -1.7])
    bands = [(band.get_x(), band.get_x() + band.get_width()) for band in fig.axes[1].patches]
    assert bands == [(2, 3)]


def test_a_moment_shows_means_histograms_or_that_a_layer_waits():
    fc1, fc2 = FIGURES["step, few"]().axes
    assert [bar.get_height() for bar in fc1.patches] == [1.0, 0.9, 0.5, 0.02]
    colours = [to_hex(bar.get_facecolor()) for bar in fc1.patches]
    assert len(set(colours[:3])) == 1 and colours[3] != colours[0]  # below the limit
    assert "decided" in fc1.get_title(loc="left") and "noisy" in fc2.get_title(loc="left")
    fc1, fc2 = FIGURES["step, many"]().axes
    assert [bar.get_height() for bar in fc1.patches] == [0, 3, 1, 0]
    assert "no noise yet" in fc2.texts[0].get_text() and not fc2.patches
    nothing = plots.noise_step({"fc1": place(4, "decided")}, 0.05, EDGES)
    assert not nothing.axes[0].patches  # not recorded


def test_a_difference_is_coloured_only_if_its_interval_leaves_out_0():
    weights, error = FIGURES["differences"]().axes
    dots = {ax: [line for line in ax.lines if line.get_marker() == "o"] for ax in (weights, error)}
    assert [dot.get_markeredgecolor() for dot in dots[weights]] == [BLUE, ORANGE]
    assert [dot.get_markeredgecolor() for dot in dots[error]] == [GREY, GREY]
    assert dots[error][1].get_markerfacecolor() == "white"  # one seed
    assert [label.get_text() for label in weights.get_yticklabels()] == list(
        dict.fromkeys(DIFFERENCES.pair)
    )


def test_without_rows_they_say_so():
    for fig in (plots.means(pd.DataFrame(), 0.05, "t"), plots.differences(pd.DataFrame(), "t")):
        assert "t: not measured yet" in fig.axes[0].texts[0].get_text()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({}, "`places` must be a mapping, layer -> its state"),
        ({"fc1": {"size": 3}}, "`places` must have 'left' in every row"),
        ({"fc1": place(3, "asleep")}, "`phase` must be one of waiting, noisy, decided"),
    ],
)
def test_what_is_no_moment_is_refused_in_one_line(places, message):
    with pytest.raises(ValueError, match=f"^noise_step: {message}"):
        plots.noise_step(places, 0.05, EDGES)

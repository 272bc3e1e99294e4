"""Figures of discrimination-aware pruning: what lies on the axes."""

import numpy as np
import pandas as pd
import pytest
from helpers import selections
from helpers.figures import fits_a_page, legend_of, lines, unreadable
from matplotlib.colors import to_hex

from prunelab import pictures, plots
from prunelab.plots.frame import BLUE, GREY, INK, ORANGE

MAPS = np.arange(16)[:, None, None] * np.ones((16, 4, 4))
HALVES = {"dropped": [1, 3, 5, 7], "kept": [2, 0, 4, 6]}
STAGES = pd.DataFrame(
    [
        (method, seed, moment, error + seed / 100, train)
        for method in ("Random DCP", "DCP")
        for seed in (0, 2)
        for moment, error, train in (
            ("unpruned", 0.08, np.nan), ("stage 1", 0.1, 0.05), ("fine-tuned", 0.09, np.nan),
        )
    ],
    columns="method seed moment error train_error".split(),
)  # fmt: skip
OURS = pd.DataFrame(
    [
        (setting, measure, value + seed, "ours", seed)
        for seed in (0, 1)
        for measure, by in (("error (%)", 1), ("size", 100))
        for setting, value in (("1", 2.0 * by), ("L_S only", 3.0 * by), ("0.1", 1.0 * by))
    ],
    columns="setting measure value source seed".split(),
)
PRINTED = pd.DataFrame(
    {"setting": ["0", "0.1"], "measure": "error (%)", "value": [9.0, 7.0], "source": "printed"}
)


def step(layer, number=1, title="conv1"):
    given = {name: layer[name] for name in ("order", "scores", "losses", "kept")}
    return plots.selection_step(
        **given, maps=pictures.unpack(layer["maps"]), step=number, title=title
    )


FIGURES = {
    "maps": lambda: plots.feature_maps(MAPS, HALVES, np.eye(4), "conv1"),
    "all maps": lambda: plots.feature_maps(MAPS, {"all": list(range(16))}, None, "conv1"),
    "stages": lambda: plots.stage_errors(STAGES, "a net"),
    "sweep": lambda: plots.sweep(OURS, PRINTED, "lambda", "a title"),
    "printed alone": lambda: plots.sweep(OURS[:0], PRINTED, "lambda", "a title"),
    "a step": lambda: step(selections.layer(16, 8)),
    "a step of many": lambda: step(selections.layer(64, 32), 20),
}


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_can_be_read_no_legend_is_empty_and_the_figure_fits_a_page(name):
    fits_a_page(FIGURES[name]())


@pytest.mark.parametrize(
    "fig",
    [
        plots.feature_maps(None, {}, None, "t"),
        plots.stage_errors(pd.DataFrame(), "t"),
        plots.sweep(pd.DataFrame(), None, "x", "t"),
    ],
)
def test_missing_rows_are_drawn_as_not_measured(fig):
    assert fig.axes[0].texts[0].get_text() == "t: not measured yet"


# feature maps


def pictures_of(fig):
    """Title -> picture, of the axes that show one."""
    return {ax.get_title(): ax.images[0] for ax in fig.axes if ax.images}


def test_each_block_shows_its_channels_in_order_on_one_scale_of_all_maps():
    fig = plots.feature_maps(MAPS, HALVES, None, "conv1")
    found = pictures_of(fig)
    assert list(found) == ["1", "3", "5", "7", "2", "0", "4", "6"]
    for channel, picture in found.items():
        assert np.array_equal(picture.get_array(), MAPS[int(channel)])
        assert picture.get_clim() == (0, 15)
    assert [part._suptitle.get_text() for part in fig.subfigs[1:]] == ["dropped: 4", "kept: 4"]


def test_of_long_blocks_the_first_are_shown_and_the_heading_says_so():
    fig = plots.feature_maps(MAPS, {"a": list(range(12)), "b": [12, 13]}, None, "", most=5)
    assert list(pictures_of(fig)) == ["0", "1", "2", "3", "4", "12", "13"]
    heads = [part._suptitle.get_text() for part in fig.subfigs[1:]]
    assert heads == ["a: 12, 5 shown", "b: 2"]


@pytest.mark.parametrize(("image", "shape"), [(np.eye(4), (4, 4)), (np.ones((3, 4, 5)), (4, 5, 3))])
def test_the_image_stands_before_the_maps(image, shape):
    first = plots.feature_maps(MAPS, HALVES, image).axes[0]
    assert first.images[0].get_array().shape == shape


@pytest.mark.parametrize(
    ("shown", "image", "message"),
    [
        ({"a": [16]}, None, r"`shown` must be channels of the layer, 0 to 15; got \[16\]"),
        ({}, None, r"`shown` must be channels of the layer, 0 to 15; got \[\]"),
        (HALVES, np.ones((2, 4, 4)), "`image` must have one channel or three, got 2"),
    ],
)
def test_channels_and_images_that_do_not_fit_are_refused(shown, image, message):
    with pytest.raises(ValueError, match=f"^feature_maps: {message}"):
        plots.feature_maps(MAPS, shown, image)


# stages


def test_errors_go_from_moment_to_moment_as_means_over_seeds_in_percent():
    (ax,) = plots.stage_errors(STAGES, "a net").axes
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        "unpruned", "stage 1", "fine-tuned",
    ]  # fmt: skip
    assert lines(ax)["DCP"].get_ydata() == pytest.approx([9, 11, 10])
    assert legend_of(ax) == ["Random DCP", "DCP", "training error"]
    (trained,) = [
        line for line in ax.lines
        if line.get_linestyle() == "--" and line.get_color() == lines(ax)["DCP"].get_color()
    ]  # fmt: skip
    assert trained.get_ydata()[1] == pytest.approx(5)


# sweeps


def test_numbers_stand_in_order_before_words_and_only_numbers_are_joined():
    left, right = plots.sweep(OURS, PRINTED, "lambda").axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["0", "0.1", "1", "L_S only"]
    assert (left.get_ylabel(), right.get_ylabel()) == ("error (%)", "size")
    marks = lines(left)["ours"]
    assert (marks.get_xdata().tolist(), marks.get_ydata().tolist()) == ([1, 2, 3], [1.5, 2.5, 3.5])
    joined = [line for line in left.lines if line.get_linestyle() == "-"]
    assert [line.get_xdata().tolist() for line in joined] == [[1, 2]]


def test_only_the_measures_that_are_named_have_a_log_axis_and_it_says_so():
    left, right = plots.sweep(OURS, PRINTED, "lambda", log=["size"]).axes
    assert (left.get_yscale(), left.get_ylabel()) == ("linear", "error (%)")
    assert (right.get_yscale(), right.get_ylabel()) == ("log", "size, log scale")
    wide = OURS.assign(value=[0.01, 5.0] * 6)
    assert {ax.get_yscale() for ax in plots.sweep(wide, None, "lambda").axes} == {"linear"}
    (ax,) = plots.sweep(OURS.assign(measure="gap", value=-1.0), None, "x", log=["gap"]).axes
    assert (ax.get_yscale(), ax.get_ylabel()) == ("linear", "gap")  # not above 0


def test_printed_points_are_hollow_stars_with_a_dotted_line():
    left, right = plots.sweep(OURS, PRINTED, "lambda").axes
    star = lines(left)["printed"]
    assert (star.get_marker(), star.get_markerfacecolor()) == ("*", "white")
    assert star.get_ydata().tolist() == [9, 7]
    assert "printed" not in lines(right)
    (dotted,) = [line for line in left.lines if line.get_linestyle() == ":"]
    assert dotted.get_xdata().tolist() == [0, 1]


# a step of the choice


def test_what_is_in_is_grey_what_comes_in_orange_and_the_rest_blue():
    layer = selections.layer()
    bars, *_ = step(layer, 3).axes
    drawn = bars.patches[:6]
    assert [bar.get_height() for bar in drawn] == pytest.approx(layer["scores"][2])
    assert [to_hex(bar.get_facecolor()).upper() for bar in drawn] == [
        *[BLUE.upper()] * 3, ORANGE.upper(), *[GREY.upper()] * 2,
    ]  # fmt: skip


def test_the_strips_are_dark_where_a_method_keeps_a_channel_and_the_incoming_one_is_framed():
    layer = selections.layer()
    _, strips, picture, *_ = step(layer, 2).axes
    assert [text.get_text() for text in strips.get_yticklabels()] == list(layer["kept"])
    *cells, frame = strips.patches
    dark = [to_hex(cell.get_facecolor()) == INK for cell in cells]
    for number, kept in enumerate(layer["kept"].values()):
        row = dark[6 * number : 6 * number + 6]
        assert [channel for channel in range(6) if row[channel]] == kept
    assert (frame.get_x(), frame.get_width()) == (3.5, 1)
    assert np.array_equal(picture.images[0].get_array(), pictures.unpack(layer["maps"])[4])
    assert picture.get_title() == "channel 4"


def test_the_losses_are_drawn_up_to_the_step_and_pale_beyond():
    layer = selections.layer()
    *_, first, second = step(layer, 2).axes
    for number, ax in enumerate((first, second)):
        whole, now, dot = (line.get_ydata() for line in ax.lines)
        assert list(whole) == [losses[number] for losses in layer["losses"]]
        assert list(now) == list(whole[:3])
        assert dot[0] == whole[2] and ax.lines[2].get_xdata()[0] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 4}, "`step` must be an integer in 1 to 3; got 4"),
        ({"order": [0, 0, 1]}, "`order` must be different channels, 0 to 5"),
        ({"losses": [[1.0, 2.0]]}, r"`losses` must be of shape \(4, 2\); got \(1, 2\)"),
        ({"maps": np.ones((5, 2, 2))}, r"`maps` must be of shape \(6, 2, 2\); got \(5, 2, 2\)"),
        ({"kept": {"DCP": [6]}}, "`kept` must be different channels, 0 to 5"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, message):
    layer = selections.layer() | {"step": 1}
    given = layer | {"maps": pictures.unpack(layer["maps"])} | change
    with pytest.raises(ValueError, match=f"^selection_step: {message}"):
        plots.selection_step(**given)


def test_a_step_without_other_methods_still_names_its_axis():
    fig = step(selections.layer() | {"kept": {}})
    assert unreadable(fig) == []
    assert fig.axes[0].get_xlabel() == "channel"

"""The contest without a kernel: set values, look at what follows."""

import pandas as pd
import pytest
from helpers.contests import POINTS, RANKS
from helpers.figures import lines
from helpers.widget_text import is_picture, text_of

from prunelab import plots, widgets
from prunelab.widgets.frame import png


@pytest.fixture
def drawn(monkeypatch):
    """What each picture was drawn from."""
    seen, draw = [], plots.size_frontier

    def watched(points, *more):
        seen.append((points, *more))
        return draw(points, *more)

    monkeypatch.setattr(plots, "size_frontier", watched)
    return seen


def test_it_starts_with_all_methods_on_the_first_network(drawn):
    box = widgets.contest_player(POINTS, RANKS)
    assert (box.network.value, box.axis.value, box.size.value) == ("a", "macs_pct", 0.5)
    assert box.methods.value == ("good", "bad")
    assert set(drawn[0][0].network) == {"a"} and drawn[0][2:4] == ("macs_pct", "a")
    assert is_picture(box.picture.value)
    assert "1 good 98.00% – none" in text_of(box.text)
    assert "2 bad 60.00% 38.00 ± 2.00 worse" in text_of(box.text)


def test_network_axis_and_methods_choose_the_points_and_keep_their_colours(drawn):
    box = widgets.contest_player(POINTS, RANKS, "a title")
    box.network.value, box.axis.value, box.methods.value = "b", "bytes_pct", ("bad",)
    points, _, axis, title, order, log, bars = drawn[-1]
    assert set(points.network) == {"b"} and set(points.method) == {"bad"}
    assert (axis, title, order, log) == ("bytes_pct", "a title", ("good", "bad"), False)
    assert bars
    assert "1 good" not in text_of(box.text)


def test_errors_that_differ_by_far_have_a_log_axis(drawn):
    widgets.contest_player(POINTS, RANKS)
    assert drawn[-1][5] is True
    (ax,) = plots.size_frontier(*drawn[-1]).axes
    assert ax.get_yscale() == "log"


def test_no_method_or_no_standing_is_told(drawn):
    box = widgets.contest_player(POINTS, RANKS[RANKS.axis == "macs_pct"])
    box.axis.value = "bytes_pct"
    assert box.size.options == ()
    assert "no method that is chosen reaches this size" in box.text.value
    box.methods.value = ()
    assert is_picture(box.picture.value)


def test_sizes_are_those_of_the_network_and_the_axis(drawn):
    other = RANKS.assign(size=RANKS["size"].where(RANKS.network == "a", RANKS["size"] / 2))
    box = widgets.contest_player(POINTS[::-1], other)
    assert box.network.value == "b" and box.size.options == (("25%", 0.25), ("15%", 0.15))
    assert "good" in text_of(box.text)
    box.network.value = "a"
    assert box.size.options == (("50%", 0.5), ("30%", 0.3)) and "good" in text_of(box.text)


def test_the_best_is_named_though_it_is_not_chosen():
    box = widgets.contest_player(POINTS, RANKS)
    box.methods.value = ("bad",)
    assert "points behind good" in text_of(box.text)


def test_a_method_looks_the_same_whatever_others_there_are(drawn):
    order = ("none", "bad", "good")
    widgets.contest_player(POINTS, RANKS, "", order)
    widgets.contest_player(POINTS[POINTS.method == "bad"], RANKS, "", order)
    looks = []
    for call in tuple(drawn):  # drawing adds to it
        found = lines(plots.size_frontier(*call).axes[0])["bad"]
        looks.append((found.get_color(), found.get_marker()))
    assert looks[0] == looks[1]


def test_the_figure_is_the_players_first_picture():
    box = widgets.contest_player(POINTS, RANKS)
    assert png(widgets.contest_figure(POINTS)) == box.picture.value


@pytest.mark.parametrize(
    ("points", "ranks", "message"),
    [
        (POINTS.iloc[:0], RANKS, "`points` is empty; measure some methods first"),
        (POINTS.drop(columns="error"), RANKS, "`points` must have .*error"),
        (POINTS, pd.DataFrame({"rank": [1]}), "`ranks` must have "),
        (POINTS.drop(columns=["macs_pct", "bytes_pct"]), RANKS, "`points` must be with one of"),
    ],
)
def test_what_is_no_contest_is_refused_in_one_line(points, ranks, message):
    with pytest.raises(ValueError, match=f"^contest_player: {message}"):
        widgets.contest_player(points, ranks)

"""The stage player without a kernel: set values, look at what follows."""

import pytest
from helpers.stages import run
from helpers.widget_text import is_picture, text_of

from prunelab import plots, widgets
from prunelab.widgets.frame import png

RUNS = [run(), run("throughout", few=False) | {"moments": run(few=False)["moments"][:2]}]


@pytest.fixture
def drawn(monkeypatch):
    """What each picture was drawn from."""
    seen, draw = [], plots.noise_step

    def watched(places, *more):
        seen.append((places, *more))
        return draw(places, *more)

    monkeypatch.setattr(plots, "noise_step", watched)
    return seen


def test_it_starts_with_the_first_moment_of_the_first_run(drawn):
    box = widgets.stage_player(RUNS, "a net")
    assert (box.run.value, box.slider.value, box.slider.max) == ("forward", 0, 2)
    assert drawn[0][0] is RUNS[0]["moments"][0]["places"]
    assert drawn[0][-1] == "a net\nforward: stage fc1, epoch 0"
    assert is_picture(box.picture.value)


def test_the_slider_moves_through_the_moments_and_the_table_follows(drawn):
    box = widgets.stage_player(RUNS)
    first = text_of(box.text)
    box.slider.value = 2
    assert drawn[-1][0] is RUNS[0]["moments"][2]["places"]
    words = text_of(box.text)
    assert "noisy 4 4" in first and "waiting 2 2" in first
    assert "decided 3 4" in words and "noisy 2 2" in words


def test_another_run_may_be_shorter(drawn):
    box = widgets.stage_player(RUNS)
    box.slider.value = 2
    box.run.value = "throughout"
    assert (box.slider.max, box.slider.value) == (1, 1)
    assert drawn[-1][0] is RUNS[1]["moments"][1]["places"]


def test_the_figure_is_the_players_first_picture():
    for moment in (0, -1):
        assert png(widgets.stage_figure(RUNS, "net", moment))
    box = widgets.stage_player(RUNS, "net")
    assert png(widgets.stage_figure(RUNS, "net")) == box.picture.value


def test_an_error_while_drawing_appears_in_the_player(monkeypatch):
    box = widgets.stage_player(RUNS)

    def broken(*_):
        raise RuntimeError("no <picture> today")

    monkeypatch.setattr(plots, "noise_step", broken)
    box.slider.value = 2
    assert "no &lt;picture&gt; today" in box.text.value


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "`runs` is empty; measure some first"),
        ([{"name": "a"}], "`runs` must have 'threshold' in every row"),
        ([run() | {"moments": []}], "`runs` has no moments in 'forward'"),
        ([run() | {"moments": [{"stage": "a"}]}], "`moments` must have 'epoch' in every row"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(runs, message):
    for call in (widgets.stage_player, widgets.stage_figure):
        with pytest.raises(ValueError, match=f"^stage_player: {message}"):
            call(runs)


def test_a_moment_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"^stage_figure: `moment` must be one of 3 moments"):
        widgets.stage_figure(RUNS, moment=3)

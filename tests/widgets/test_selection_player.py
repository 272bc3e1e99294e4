"""The selection player without a kernel: set values, look at what follows."""

import base64

import numpy as np
import pytest
from helpers import selections
from helpers.figures import unreadable
from helpers.widget_text import is_picture, text_of

from prunelab import pictures, plots, widgets
from prunelab.widgets.frame import png

ROW = selections.row()
CONV1, CONV2 = ROW["values"]["layers"].values()


@pytest.fixture
def drawn(monkeypatch):
    """What each picture was drawn from."""
    seen, draw = [], plots.selection_step

    def watched(**options):
        seen.append(options)
        return draw(**options)

    monkeypatch.setattr(plots, "selection_step", watched)
    return seen


def test_it_starts_with_the_first_step_of_the_first_layer(drawn):
    box = widgets.selection_player(ROW, "a net")
    assert (box.layer.value, box.slider.value, box.slider.max) == ("conv1", 1, 3)
    assert drawn[0]["title"] == "a net: conv1, step 1 of 3"
    assert drawn[0]["order"] == [5, 4, 3]
    assert np.array_equal(drawn[0]["maps"], pictures.unpack(CONV1["maps"]))
    assert is_picture(box.picture.value)


def test_the_slider_tells_what_comes_in_what_it_changes_and_who_keeps_it():
    box = widgets.selection_player(ROW)
    assert text_of(box.text) == (
        "Step 1 of 3: channel 5 comes in. L_M 1 → 0.5, L_S 2.3 → 1.97."
        " ThiNet drops it, filter norm keeps it."
    )
    before = bytes(box.picture.value)
    box.slider.value = 2
    assert text_of(box.text).startswith("Step 2 of 3: channel 4 comes in. L_M 0.5 → 0.333, ")
    assert text_of(box.text).endswith("ThiNet drops it, filter norm drops it.")
    assert bytes(box.picture.value) != before


def test_another_layer_starts_at_its_first_step_and_has_its_own_number_of_steps(drawn):
    box = widgets.selection_player(ROW, step=3)
    box.layer.value = "conv2"
    assert (box.slider.value, box.slider.max, box.play.max) == (1, 5, 5)
    assert drawn[-1]["title"] == "conv2, step 1 of 5"
    box.slider.value = 5
    assert text_of(box.text).startswith("Step 5 of 5: channel 3 comes in.")
    box.layer.value = "conv1"
    assert (box.slider.value, box.slider.max) == (1, 3)
    assert text_of(box.text).startswith("Step 1 of 3: channel 5")


def test_a_picture_is_drawn_once(drawn):
    box = widgets.selection_player(ROW)
    for step in (2, 1, 2):
        box.slider.value = step
    assert [options["step"] for options in drawn] == [1, 2]


def test_the_browser_moves_the_slider_while_it_plays():
    box = widgets.selection_player(ROW)
    assert (box.link.source, box.link.target) == ((box.play, "value"), (box.slider, "value"))


def test_the_figure_for_readers_is_the_one_the_player_starts_with():
    how = {"layer": "conv2", "step": 2}
    fig, box = (
        make(ROW, "net", **how) for make in (widgets.selection_figure, widgets.selection_player)
    )
    assert bytes(box.picture.value) == png(fig)
    assert unreadable(fig) == []
    bundle = box._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == bytes(box.picture.value)


def test_values_alone_are_enough_and_layers_without_a_choice_are_left_out():
    whole = {"order": [0, 1], "scores": [], "losses": [], "kept": {}, "maps": CONV1["maps"]}
    empty = whole | {"order": []}
    box = widgets.selection_player(selections.row(empty=empty, conv1=CONV1)["values"])
    assert box.layer.options == ("conv1",)


def test_an_error_while_drawing_appears_in_the_player(monkeypatch):
    box = widgets.selection_player(ROW)

    def broken(**_):
        raise RuntimeError("no <picture> today")

    monkeypatch.setattr(plots, "selection_step", broken)
    box.slider.value = 2
    assert "no &lt;picture&gt; today" in box.text.value


def changed(**entries):
    return selections.row(conv1=CONV1 | entries)


WRONG = {
    "no row": ({"values": {}}, {}, "`row` must be a row of the task `Selections`"),
    "no layers": ({"layers": {}}, {}, "no layer of `row` has a choice"),
    "a key lacks": (
        selections.row(conv1={k: v for k, v in CONV1.items() if k != "maps"}), {},
        "layer `conv1` of `row` lacks maps",
    ),
    "a channel twice": (changed(order=[1, 1, 2]), {}, "order of conv1` must be different channels"),
    "no such channel": (changed(kept={"ThiNet": [6]}), {}, "ThiNet of conv1` must be different"),
    "several at a time": (
        changed(scores=CONV1["scores"][:2]), {}, "`scores` of layer `conv1` must have 3 entries"
    ),
    "losses": (changed(losses=CONV1["losses"][1:]), {}, "`losses` .* 4 entries, .* got 3"),
    "maps of others": (changed(maps=CONV2["maps"]), {}, "`maps` .* 6 entries, .* got 8"),
    "no maps": (changed(maps={"shape": [6]}), {}, "maps of layer `conv1` of `row`: unpack: "),
    "no such layer": (ROW, {"layer": "fc"}, "`layer` must be one of conv1, conv2; got 'fc'"),
    "no such step": (ROW, {"step": 4}, "`step` must be an integer in 1 to 3; got 4"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "options", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("call", [widgets.selection_player, widgets.selection_figure])
def test_what_cannot_be_played_is_refused_in_one_line(call, row, options, message):
    with pytest.raises(ValueError, match=f"^selection_player: .*{message}") as error:
        call(row, **options)
    assert "\n" not in str(error.value)

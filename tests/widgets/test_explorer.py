"""The explorer on recordings, without a kernel: set values, look at what is found and drawn."""

import pytest
from helpers.recordings import PAIR, point
from helpers.widget_text import text_of
from hypothesis import given
from hypothesis import strategies as st

from prunelab.sensitivity.budget.prediction import predict
from prunelab.widgets import words
from prunelab.widgets.exploring import planned
from prunelab.widgets.exploring.recorded import Recorded
from prunelab.widgets.plans import Plan, parsed

# ---- what is answered


def test_it_starts_with_the_whole_network_as_recorded(box, raw):
    whole = raw["whole"]
    assert box.ratios == {}
    assert box.answer.how == "recorded"
    assert box.answer.accuracy == whole["accuracy"]
    assert (box.answer.low, box.answer.high) == (-0.5 / 40, 0.5 / 40)
    assert (box.answer.params, box.answer.macs) == (whole["params"], whole["macs"])
    assert box.chart.whole == whole["accuracy"] and box.chart.layout.display is None
    assert "toy" in text_of(box.title) and "cpu, smoke" in text_of(box.title)


def test_every_recorded_point_is_answered_as_it_was_recorded(box, raw):
    for row in raw["points"]:
        box.groups.value = (row["group"],)
        box.reset.click()
        box.number.value = row["ratio"]
        answer = box.wait(60).answer
        assert answer.how == "recorded"
        seen = (answer.accuracy, answer.low, answer.high, answer.params, answer.macs)
        assert seen == tuple(row[k] for k in ("accuracy", "low", "high", "params", "macs"))
    assert "recorded: this very network" in text_of(box.text)


def test_other_ratios_that_keep_as_many_channels_are_the_same_network(box, raw):
    box.show({"0": 0.27})  # keeps 5 of 8, which no point does
    assert box.wait(60).answer.how == "predicted"
    box.show({"0": 0.5 + 1e-12})  # keeps 4, as 0.5 does
    assert box.wait(60).answer.accuracy == point(raw, "0", 0.5)["accuracy"]
    assert box.answer.how == "recorded"


def test_a_recorded_combination_is_answered_with_its_interval_and_time(box, raw):
    box.show(PAIR)
    answer, row = box.wait(60).answer, raw["combinations"][0]
    assert answer.how == "recorded"
    assert (answer.accuracy, answer.low, answer.high) == (row["accuracy"], row["low"], row["high"])
    assert (answer.params, answer.macs, answer.seconds) == (row["params"], row["macs"], 0.005)


def test_anything_else_is_predicted_and_said_to_be(box):
    ratios = {"0": 0.75, "3": 0.5, "7": 0.5}
    answer, guess = box.show(ratios).wait(60).answer, predict(box.source.curves, ratios)
    assert answer.how == "predicted"
    assert answer.accuracy == min(1, max(0, guess.accuracy))
    assert (answer.params, answer.macs) == (guess.params, guess.macs)
    assert "prediction, not a measurement" in text_of(box.text)
    assert "interval" not in text_of(box.text)


@given(st.lists(st.floats(0, 0.99), min_size=3, max_size=3))
def test_a_prediction_is_a_range_of_what_is_possible_that_holds_what_was_measured(raw, ratios):
    source, plan = Recorded(raw), dict(zip("037", ratios))
    (answer,) = source.answers(plan, lambda: False)
    whole = raw["whole"]["accuracy"]
    if answer.how == "predicted":
        low, high = whole + answer.low, whole + answer.high
        assert 0 <= low <= answer.accuracy <= high <= 1 and low < high
    for row in raw["combinations"]:
        guess = source.predicted(row["ratios"])
        assert whole + guess.low - 1e-9 <= row["accuracy"] <= whole + guess.high + 1e-9


def test_time_lies_on_the_straight_line_through_what_was_timed(box, raw):
    (first, second), macs = raw["latency"], raw["whole"]["macs"]
    slope = (first["seconds"] - second["seconds"]) / (first["macs"] - second["macs"])
    expected = first["seconds"] + slope * (macs - first["macs"])
    assert box.answer.seconds == pytest.approx(expected)
    assert "≈" in text_of(box.text)


def test_without_times_no_time_is_given(raw):
    source = Recorded({k: v for k, v in raw.items() if k not in ("latency", "combinations")})
    (answer,) = source.answers({}, lambda: False)
    assert answer.seconds is None
    assert source.presets == {}


# ---- the controls


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 8), (0.95, 1)])
def test_both_ends_of_the_slider(box, ratio, kept):
    box.slider.value = 0.5
    box.slider.value = ratio
    box.wait(60)
    assert f"0   {kept}/8" in [label for label, _ in box.groups.options]
    assert box.number.value == ratio
    assert box.ratios == ({"0": ratio} if ratio else {})
    assert box.answer.macs == box.source.price({"0": kept})[1]
    assert f"{words.short(box.answer.macs)} " in text_of(box.text)


def test_beyond_its_ends_the_slider_stays_at_them(box):
    box.slider.value = 2
    assert box.ratios == {"0": 0.95}
    box.number.value = 5
    assert box.ratios == {"0": 0.99}
    box.number.value = -1
    assert box.ratios == {}


def test_a_number_between_the_steps_of_the_slider_is_taken_as_it_is(box):
    box.number.value = 0.333
    assert box.ratios == {"0": 0.333}
    assert box.slider.value == 0.333
    box.number.value = 0.99  # the slider ends before
    assert (box.ratios, box.slider.value) == ({"0": 0.99}, 0.95)
    assert box.map.ratios == {"0": 0.99}


def test_the_list_and_the_map_light_up_together(box):
    box.groups.value = ("3", "7")
    assert box.map.selected == ["3", "7"]
    box.map.selected = ["0"]
    assert box.groups.value == ("0",)
    box.map.selected = ["7", "3"]
    assert box.selected == ["3", "7"]  # in the order of the network
    assert box.chart.selected == ["3", "7"]
    box.chart.selected = ["0"]  # a click on a curve
    assert box.map.selected == ["0"] and box.groups.value == ("0",)


def test_the_controls_show_the_ratio_of_what_is_selected(box):
    box.show({"0": 0.5, "3": 0.25})
    box.groups.value = ("3",)
    assert (box.slider.value, box.number.value) == (0.25, 0.25)
    assert box.ratios == {"0": 0.5, "3": 0.25}  # and selecting changes nothing


def test_with_nothing_selected_there_is_nothing_to_drag(box):
    box.groups.value = ()
    assert box.slider.disabled and box.number.disabled
    box.groups.value = ("0",)
    assert not box.slider.disabled


def test_locked_together_a_stage_or_all_move_as_one(box):
    box.lock.value = "stage"
    assert box.map.selected == ["0", "3"]  # both have maps of 8x8
    box.slider.value = 0.25
    assert box.ratios == {"0": 0.25, "3": 0.25}
    box.lock.value = "all"
    box.slider.value = 0.5
    assert box.ratios == {"0": 0.5, "3": 0.5, "7": 0.5}
    box.lock.value = "group"
    box.groups.value = ("7",)
    box.slider.value = 0.0
    assert box.ratios == {"0": 0.5, "3": 0.5}


def test_undo_goes_back_step_by_step_and_a_drag_is_one_step(box, monkeypatch):
    monkeypatch.setattr(planned, "DRAG", 600.0)  # however busy the machine is
    assert box.undo.disabled
    box.slider.value = 0.25
    box.slider.value = 0.5  # at once: the same drag
    box.groups.value = ("3",)
    box.slider.value = 0.75
    box.undo.click()
    assert box.ratios == {"0": 0.5}
    assert box.slider.value == 0.0  # of "3", which is selected
    box.undo.click()
    assert box.ratios == {}
    assert box.undo.disabled
    monkeypatch.setattr(planned, "DRAG", 0.0)  # now every move is slow
    for ratio in (0.25, 0.5):
        box.slider.value = ratio
    box.undo.click()
    assert box.ratios == {"3": 0.25}


def test_as_many_undos_as_changes_lead_back_through_all_of_them(box):
    changes = [{"0": 0.25}, {"0": 0.25, "3": 0.5}, {}, {"7": 0.5}]
    for ratios in [*changes, changes[-1]]:  # the last one changes nothing
        box.show(ratios)
    for ratios in reversed(changes):
        assert box.ratios == ratios
        box.undo.click()
    assert box.ratios == {} and box.undo.disabled


def test_reset_brings_the_whole_network_back_and_can_be_undone(box):
    box.show(PAIR)
    box.reset.click()
    assert box.ratios == {}
    assert box.wait(60).answer.accuracy == box.source.whole["accuracy"]
    box.undo.click()
    assert box.ratios == PAIR


# ---- the curves, and plans


def test_the_curves_are_those_of_the_scan_with_their_intervals(box, raw):
    whole = raw["whole"]["accuracy"]
    assert [curve["name"] for curve in box.chart.curves] == ["0", "3", "7"]
    for curve in box.chart.curves:
        own = [p for p in raw["points"] if p["group"] == curve["name"] and p["ratio"]]
        expected = [[p["ratio"], p["accuracy"], whole + p["low"], whole + p["high"]] for p in own]
        assert curve["points"] == [[0.0, whole, whole, whole], *expected]


def test_a_point_that_is_dragged_moves_its_group_or_all_that_is_selected(box, monkeypatch):
    monkeypatch.setattr(planned, "DRAG", 600.0)
    box.groups.value = ("0", "3")
    for ratio in (0.1, 0.3, 0.5):
        box.chart.moved = {"group": "3", "ratio": ratio}
    assert box.ratios == {"0": 0.5, "3": 0.5} == box.chart.ratios
    box.chart.moved = {"group": "7", "ratio": 0.25}  # a point of another curve
    assert box.ratios == {"0": 0.5, "3": 0.5, "7": 0.25}
    box.undo.click()
    box.undo.click()  # the drag is one step
    assert box.ratios == {} and box.undo.disabled


def test_plans_are_a_tree_to_return_to(box):
    box.show({"0": 0.5}).wait(60)
    box.show({"0": 0.5, "7": 0.25}).wait(60)
    box.history.value = 1  # back to the first of the two
    assert box.wait(60).ratios == {"0": 0.5}
    box.show({"0": 0.5, "3": 0.75}).wait(60)
    assert [step.parent for step in box.visited.steps] == [None, 0, 1, 1]
    lines = [line for line, _ in box.history.options]
    assert "whole network" in lines[0] and lines[1].startswith("└ ")
    assert lines[2].endswith("7 −25%") and lines[3].endswith("3 −75%")
    assert lines[1].split("└")[0] == "" and lines[2].startswith("\u00a0")
    assert words.percent(box.source.known({"0": 0.5}).accuracy) in lines[1]
    box.show({}).wait(60)
    assert len(box.history.options) == 4  # a plan that was there is not added again
    assert box.history.value == 0
    box.undo.click()
    assert box.ratios == {"0": 0.5, "3": 0.75}


@given(
    st.dictionaries(st.sampled_from(["conv1", "layer1.0.conv2"]), st.floats(0.001, 0.99)),
    st.sets(st.integers(0, 7), min_size=1, max_size=7),
    st.lists(st.integers(1, 9999), max_size=4),
)
def test_a_plan_is_read_back_from_its_text(ratios, channels, tuned):
    sizes = {"conv1": 20, "layer1.0.conv2": 16, "fc": 8}
    hand = {"fc": tuple(sorted(channels))}
    plan = Plan(ratios | {"fc": len(channels) / 8}, hand, tuple(tuned))
    assert parsed(str(plan), sizes) == plan
    assert parsed("", sizes) == Plan() and str(Plan()) == ""


def test_a_plan_is_shared_as_a_text(box):
    box.show(PAIR)
    text = box.plan.value
    assert text == " ".join(f"{name}={ratio}" for name, ratio in PAIR.items())
    box.reset.click()
    assert box.plan.value == ""
    box.plan.value = text
    assert box.wait(60).ratios == PAIR and box.answer.how == "recorded"
    box.undo.click()
    assert box.ratios == {}


@pytest.mark.parametrize(
    ("text", "words_"),
    [
        ("9=0.5", "no group `9`; groups are 0, 3, 7"),
        ("0=1.5", "a ratio must be in [0, 1); got '0=1.5'"),
        ("0=.", "a ratio must be in [0, 1); got '0=.'"),
        ("half of it", "a plan is written as `conv1=0.5 conv2:0,3 +1`"),
        ("0:8", "`0` has 8 channels, 0 to 7, and keeps one at least; got '0:8'"),
        ("0:0,1,2,3,4,5,6,7", "keeps one at least"),
        ("0:1", "no channels by hand here: this is a recording"),
        ("0=0.5 0:1", "a plan names a group once; `0` is named again"),
        ("0=0.5 0=0.1", "a plan names a group once; `0` is named again"),
        ("+99999", "a plan is written as"),
        ("0:٣", "a plan is written as"),
    ],
)
def test_a_text_that_is_no_plan_is_refused_in_one_line(box, text, words_):
    box.show(PAIR)
    said = box.wait(60).text.value
    box.plan.value = text
    assert words_ in text_of(box.refused) and box.ratios == PAIR
    assert "error" not in text_of(box.refused) and "explorer:" not in text_of(box.refused)
    assert box.text.value == said and "95% interval" in said  # the result stays
    box.slider.value = 0.75
    assert box.refused.value == ""


def test_a_long_history_is_shown_and_a_point_of_no_curve_changes_nothing(box):
    for n in range(1200):
        box.visited.visit(Plan({"0": (n + 1) / 2000}), "x", 1)
    assert len(box.visited.lines(2)) >= 1200
    box.chart.moved = {"group": "nope", "ratio": 0.5}
    assert "no group `nope`" in text_of(box.refused) and box.ratios == {}

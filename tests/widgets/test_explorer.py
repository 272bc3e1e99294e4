"""The explorer on recordings, without a kernel: set values, look at what is found and drawn."""

import base64
import json
import threading
import time

import ipywidgets as w
import pandas as pd
import pytest
import torch
from helpers.toy import dataset, quiet, split
from helpers.widget_text import text_of
from torch import nn

from prunelab import cost, scores, sensitivity, surgery, train, widgets
from prunelab.groups import trace
from prunelab.groups.diagram import diagram
from prunelab.sensitivity.budget.prediction import predict
from prunelab.sensitivity.budget.price import price
from prunelab.sensitivity.budget.solver import solve
from prunelab.widgets import history, words
from prunelab.widgets.exploring import jobs, measuring, recorded
from prunelab.widgets.exploring.panel import BY_HAND, SOLVER, UNIFORM
from prunelab.widgets.exploring.recorded import Recorded

GRID = (0.25, 0.5, 0.75)
PAIR = {"0": 0.5, "3": 0.25}
LAST = {"7": 0.5}


def trained_net():
    """Three groups, two of them on maps of one size: "0" and "3" on 8x8, "7" a vector."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6), nn.ReLU(),
        nn.Linear(6, 3),
    )  # fmt: skip
    quiet(net, dataset(200), train.Budget(epochs=6, lr=0.05, batch=16))
    return net


def recording(title="toy"):
    """What the study would record of this network on 40 images."""
    net, images = trained_net(), split(40, seed=5)
    example, _ = images.batch(slice(0, 1))
    groups = trace(net, example)
    before, exact = train.evaluate(net, images), price(net, example, groups)
    points = sensitivity.scan(net, images, ratios=GRID, progress=False)
    order = sensitivity.ranking(net, groups, "l1")
    keep = {g: scores.best(order[g], scores.kept(groups[g].size, r)) for g, r in PAIR.items()}
    small = surgery.shrink(net, groups, keep)
    seen = sensitivity.outcome(before, train.evaluate(small, images))
    macs, (params, whole_macs) = cost.measure(small, example).macs, exact()
    whole = {"accuracy": before.accuracy, "loss": before.loss, "images": 40}
    whole |= {"correct": int(before.correct.sum()), "params": params, "macs": whole_macs}
    raw = {
        "title": title, "made": "cpu, smoke, 2026-11-25", "whole": whole,
        "price": exact.to_dict(), "points": points.to_dict("records"),
        "rows": diagram(net, example, groups),
        "combinations": [
            {"label": "a pair", "ratios": PAIR, "seconds": 0.005, **seen}
            | vars(cost.measure(small, example))
        ],
        "latency": [{"macs": 2 * macs, "seconds": 0.004}, {"macs": macs, "seconds": 0.003}],
    }  # fmt: skip
    return json.loads(json.dumps(raw))


@pytest.fixture(scope="module")
def raw():
    return recording()


@pytest.fixture
def box(raw):
    made = widgets.explorer(recorded=raw)
    yield made.wait(60)
    made.close()


def point(raw, group, ratio):
    return next(p for p in raw["points"] if p["group"] == group and p["ratio"] == ratio)


# ---- what is answered


def test_it_starts_with_the_whole_network_as_recorded(box, raw):
    whole = raw["whole"]
    assert box.ratios == {}
    assert box.answer.how == "recorded"
    assert box.answer.accuracy == whole["accuracy"]
    assert (box.answer.low, box.answer.high) == (-0.5 / 40, 0.5 / 40)
    assert (box.answer.params, box.answer.macs) == (whole["params"], whole["macs"])
    assert bytes(box.picture.value).startswith(b"\x89PNG")
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
    assert (answer.low, answer.high) == (None, None)
    assert (answer.accuracy, answer.params, answer.macs) == (
        guess.accuracy, guess.params, guess.macs,
    )  # fmt: skip
    assert "prediction, not a measurement" in text_of(box.text)
    assert "interval" not in text_of(box.text)


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
    before = bytes(box.picture.value)
    box.map.selected = ["7", "3"]
    assert box.selected == ["3", "7"]  # in the order of the network
    assert bytes(box.picture.value) != before


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
    monkeypatch.setattr(history, "DRAG", 600.0)  # however busy the machine is
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
    monkeypatch.setattr(history, "DRAG", 0.0)  # now every move is slow
    for ratio in (0.25, 0.5):
        box.slider.value = ratio
    box.undo.click()
    assert box.ratios == {"3": 0.25}


def test_reset_brings_the_whole_network_back_and_can_be_undone(box):
    box.show(PAIR)
    box.reset.click()
    assert box.ratios == {}
    assert box.wait(60).answer.accuracy == box.source.whole["accuracy"]
    box.undo.click()
    assert box.ratios == PAIR


# ---- presets, budget, comparison


def test_the_presets_are_uniform_the_recorded_ones_and_the_solvers(box):
    assert box.preset.options == (BY_HAND, UNIFORM, "a pair", SOLVER)
    box.number.value = 0.25
    box.preset.value = UNIFORM
    assert box.ratios == {"0": 0.25, "3": 0.25, "7": 0.25}
    box.preset.value = "a pair"
    assert box.ratios == PAIR
    box.slider.value = 0.75
    assert box.preset.value == BY_HAND
    assert box.ratios == PAIR | {"0": 0.75}


def test_the_solvers_preset_meets_the_budget_and_follows_it(box):
    box.preset.value = SOLVER
    for percent in (50, 30, 100):
        box.budget.value = percent
        assert box.preset.value == SOLVER
        expected = solve(box.source.curves, macs=percent / 100)
        assert box.ratios == {g: r for g, r in expected.items() if r}
        assert box.wait(60).answer.macs <= percent / 100 * box.source.whole["macs"]
    assert "within the budget" in text_of(box.budget_bar)


def test_the_budget_bar_is_green_within_and_orange_over(box):
    assert words.ORANGE in box.budget_bar.value  # the whole network, at a budget of half
    assert "over the budget" in text_of(box.budget_bar)
    box.budget.value = 100
    assert words.GREEN in box.budget_bar.value and words.ORANGE not in box.budget_bar.value
    assert "(100%) of at most" in text_of(box.budget_bar)
    box.budget.value = 5
    assert "(5%)" in text_of(box.budget_bar) and words.ORANGE in box.budget_bar.value


def test_nothing_is_solved_while_a_slider_moves(box, monkeypatch):
    """The budget slider reports its release; a drag of the ratio ends when it rests."""
    assert not box.budget.continuous_update and box.slider.continuous_update
    assert isinstance(box.budget, w.IntSlider)
    solved = []
    monkeypatch.setattr(jobs, "solve", lambda *a, **k: solved.append(1) or solve(*a, **k))
    monkeypatch.setattr(measuring, "REST", 20.0)
    for step in range(1, 8):
        box.slider.value = step / 10
    time.sleep(0.2)
    assert solved == []
    assert box.ratios == {"0": 0.7}
    monkeypatch.setattr(measuring, "REST", 0.0)
    box.slider.value = 0.75
    box.wait(60)
    assert solved == [1]


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_the_budget_is_checked_in_whole_macs(spare):
    whole, allowed = 1_000_003, 35
    limit = whole * allowed // 100
    assert words.limit_of(whole, allowed) == limit
    said = words.budget(limit - spare, whole, allowed)
    assert (words.ORANGE in said) == (spare < 0)


def test_a_budget_that_no_ratios_meet_is_said_in_the_text(box):
    box.budget.value = 5
    box.preset.value = SOLVER
    assert "cannot go below" in text_of(box.text)
    assert words.ORANGE in box.text.value
    assert box.ratios == {}


def test_your_setting_stands_beside_the_solvers_at_the_same_macs(box, raw):
    box.show(PAIR).wait(60)
    mine = predict(box.source.curves, PAIR)
    theirs = predict(box.source.curves, solve(box.source.curves, macs=mine.macs))
    said = text_of(box.compare)
    assert theirs.macs <= mine.macs and theirs.accuracy >= mine.accuracy
    assert words.percent(mine.accuracy) in said and words.percent(theirs.accuracy) in said
    assert words.percent(raw["combinations"][0]["accuracy"]) in said  # measured: it is recorded


def test_there_is_nothing_to_compare_with_the_whole_network_or_beyond_the_scan(box):
    assert "Remove something" in text_of(box.compare)
    box.show(dict.fromkeys(box.source.sizes, 0.95)).wait(60)
    assert "cannot go below" in text_of(box.compare)


def test_the_code_names_what_loses_channels_and_nothing_else(box):
    box.show({"0": 0.5, "3": 0.01, "7": 0.0})
    assert '"0": 0.5, "3": 0.01}' in box.code.value
    assert '"7"' not in box.code.value
    assert "torch.zeros(1, 1, 8, 8)" in box.code.value
    assert len(box.code.value.splitlines()) == 8


# ---- errors, threads, several recordings


def test_an_error_in_a_handler_appears_in_the_text_and_stays(box, monkeypatch):
    def broken(*_):
        raise RuntimeError("no <bar> today")

    monkeypatch.setattr(words, "budget", broken)
    box.slider.value = 0.5
    box.wait(60)
    assert "no &lt;bar&gt; today" in box.text.value
    assert words.ORANGE in box.text.value


def test_an_error_of_the_worker_appears_in_the_text(box, monkeypatch):
    def broken(*_):
        raise RuntimeError("no answer today")

    monkeypatch.setattr(recorded, "predict", broken)
    box.show({"0": 0.3, "7": 0.3}).wait(60)
    assert "no answer today" in text_of(box.text)
    monkeypatch.undo()
    box.show({"0": 0.5}).wait(60)  # and the next question is answered
    assert "recorded" in text_of(box.text)


def test_readers_without_a_kernel_get_a_picture(box):
    box.show(PAIR).wait(60)
    bundle = box._repr_mimebundle_()
    headline = words.headline("toy", box.answer)
    assert headline.startswith("toy: recorded ") and words.percent(box.answer.accuracy) in headline
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_several_recordings_are_picked_by_name(raw):
    other = recording("another")
    box = widgets.explorer(recorded=[raw, other], ratios={"0": 0.5})
    assert [label for label, _ in box.recordings.options] == ["toy", "another"]
    assert box.recordings.layout.display is None
    box.recordings.index = 1
    assert box.wait(60).ratios == {}
    assert "another" in text_of(box.title)
    box.map.selected = ["7"]  # the new map is heard
    assert box.selected == ["7"]
    box.close()


def test_a_recording_says_why_it_cannot_be_scanned_trained_or_saved(box):
    assert box.recordings.layout.display == "none"
    for part in (box.scan, box.finetune, box.save):
        assert part.button.disabled
        assert "this is a recording" in part.button.tooltip
    assert "this is a recording" in text_of(box.save.note)
    assert box.scan.layout.display == "none"


def test_closing_ends_the_threads(raw):
    before = set(threading.enumerate())
    box = widgets.explorer(recorded=raw).wait(60)
    started = set(threading.enumerate()) - before
    assert started and all(thread.daemon for thread in started)
    box.close()
    for thread in started:
        thread.join(5)
    assert not any(thread.is_alive() for thread in started)


def test_waiting_longer_than_allowed_is_an_error(box):
    gate = threading.Event()
    box.worker.submit(lambda stop: gate.wait(60))
    with pytest.raises(TimeoutError, match=r"explorer: still at work after 0.01 s"):
        box.wait(0.01)
    gate.set()
    assert box.wait(60) is box


def test_shipped_recordings_are_the_rows_of_kind_explore(raw, tmp_path, monkeypatch):
    path = tmp_path / "sensitivity.jsonl"
    made = ("a explore old", "b scan scan", "c explore x", "a explore new")
    rows = [
        {"key": key, "recipe": {"task": {"kind": kind}}, "values": raw | {"title": title}}
        for key, kind, title in map(str.split, made)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(recorded, "SHIPPED", path)
    box = widgets.explorer()
    assert [label for label, _ in box.recordings.options] == ["new", "x"]
    box.close()


def test_with_nothing_shipped_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "SHIPPED", tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="explorer: no recording is shipped") as caught:
        widgets.explorer()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recorded": []}, "`recorded` is empty"),
        ({"recorded": {"title": "x"}}, "`recorded` needs title, whole, price.* no 'whole'"),
        ({"net": nn.Identity()}, "`data` is missing"),
        ({"data": dataset()}, "`net` is missing"),
        ({"net": nn.Identity(), "data": dataset(), "recorded": []}, "not both"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"explorer: .*{message}"):
        widgets.explorer(**arguments)


@pytest.mark.parametrize(
    ("ratios", "message"),
    [({"9": 0.5}, "explorer: no group `9`; groups are 0, 3, 7"), ({"0": 1.0}, "must be in")],
)
def test_ratios_that_do_not_fit_are_refused_at_the_start_and_later(box, raw, ratios, message):
    with pytest.raises(ValueError, match=message):
        widgets.explorer(recorded=raw, ratios=ratios)
    box.show(PAIR)
    with pytest.raises(ValueError, match=message):
        box.show(ratios)
    assert box.ratios == PAIR


def test_the_curves_are_drawn_with_the_ratio_in_use(raw):
    from prunelab.plots.explored import explored

    points = pd.DataFrame(raw["points"])
    fig = explored(points, 0.9, {"0": 0.375}, ["0"], {"0": "#123456"}, "title")
    (ax,) = fig.axes
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["0"].get_color() == "#123456"
    assert list(lines["0"].get_xdata()) == [0, 25, 50, 75]
    assert lines["0"].get_ydata()[0] == pytest.approx(90)
    ring = next(line for line in ax.lines if list(line.get_xdata()) == [37.5])
    between = (point(raw, "0", 0.25)["accuracy"] + point(raw, "0", 0.5)["accuracy"]) / 2
    assert ring.get_ydata()[0] == pytest.approx(100 * between)
    assert ax.get_title(loc="left") == "title"
    assert "3" not in lines  # grey curves have no names

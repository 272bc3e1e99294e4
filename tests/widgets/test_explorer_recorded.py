"""The explorer on recordings: presets, budget, comparison, errors, and what is refused."""

import base64
import json
import threading
import time

import pandas as pd
import pytest
from helpers.recordings import PAIR, point
from helpers.toy import dataset
from helpers.widget_text import text_of
from torch import nn

from prunelab import models, surgery, widgets
from prunelab.sensitivity.budget.prediction import predict
from prunelab.sensitivity.budget.solver import solve
from prunelab.widgets import words
from prunelab.widgets.exploring import jobs, recorded, worker
from prunelab.widgets.exploring.panel import BY_HAND, SOLVER, UNIFORM


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
    solved = []
    monkeypatch.setattr(jobs, "solve", lambda *a, **k: solved.append(1) or solve(*a, **k))
    monkeypatch.setattr(worker, "REST", 20.0)
    for step in range(1, 8):
        box.slider.value = step / 10
    time.sleep(0.2)
    assert solved == []
    assert box.ratios == {"0": 0.7}
    monkeypatch.setattr(worker, "REST", 0.0)
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
    assert "cannot go below" in text_of(box.refused)
    assert "accuracy" in text_of(box.text)
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
    assert "'0': 0.5, '3': 0.01}" in box.code.value
    assert "'7'" not in box.code.value
    assert "torch.zeros(1, 1, 8, 8)" in box.code.value
    assert len(box.code.value.splitlines()) == 8


# ---- errors, threads, several recordings


def test_an_error_in_a_handler_appears_in_the_text_and_stays(box, monkeypatch):
    def broken(*_):
        raise RuntimeError("no <bar> today")

    monkeypatch.setattr(words, "budget", broken)
    box.slider.value = 0.5
    box.wait(60)
    assert "no &lt;bar&gt; today" in box.refused.value
    assert words.ORANGE in box.refused.value


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
    box = widgets.explorer(recorded=[raw, raw | {"title": "another"}], ratios={"0": 0.5})
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


def test_no_thread_lives_longer_than_its_job(raw):
    before = set(threading.enumerate())
    box = widgets.explorer(recorded=raw).wait(60)
    assert set(threading.enumerate()) <= before
    box.worker.submit(lambda stop: [time.sleep(0.01) for _ in range(10**6) if not stop()])
    box.close()
    assert box.worker.wait(60)


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
        ({"recorded": {"title": "x"}}, "`recorded` must have 'whole' in every row"),
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


# ---- inside a recorded network


def test_the_filters_of_a_shipped_network_are_shown_and_what_a_ratio_removes():
    box = widgets.explorer().wait(60)
    raw = recorded.shipped()[0]
    net = surgery.load(models.build("lenet-5"), recorded.weights(raw["network"], (1,)).file)
    box.groups.value = ("conv1",)
    grid = box.show({"conv1": 0.6}).wait(60).inside.grid
    assert box.inside.parts.layout.display is None and box.inside.head.layout.display == "none"
    assert (grid.filters["h"], grid.filters["w"], grid.maps, grid.size) == (5, 5, {}, 20)
    size = net.conv1.weight.detach().abs().sum((1, 2, 3))
    assert grid.removed == sorted(size.argsort()[:12].tolist())  # the smallest
    rank = size.argsort().argsort() / 19
    assert grid.scores["l1"] == pytest.approx(rank.tolist())
    assert grid.fixed and "call prunelab.widgets.explorer(net, data)" in text_of(box.inside.note)
    for source in dict(box.recordings.options).values():
        assert {name: len(s) for name, s in source.inside.order.items()} == source.sizes
    box.recordings.index = 1
    assert box.wait(60).inside.grid.filters["colours"] == 3
    box.close()


def test_without_its_weights_one_line_says_what_to_call(box):
    box.groups.value = ("0",)
    assert box.wait(60).inside.parts.layout.display == "none"
    assert "call prunelab.widgets.explorer(net, data)" in text_of(box.inside.note)

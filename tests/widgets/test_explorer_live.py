"""The explorer on a network and images, without a kernel: what it says is what is measured."""

import re
import threading

import pytest
import torch
from helpers.recordings import shrunk
from helpers.widget_text import text_of

from prunelab import cost, scores, sensitivity, train, widgets
from prunelab.widgets import words
from prunelab.widgets.exploring import live, timing
from prunelab.widgets.exploring.live import Live
from prunelab.widgets.exploring.worker import StoppedError


@pytest.fixture
def box(net, data):
    made = widgets.explorer(net, data)
    yield made.wait(60)
    made.close()


def never():
    return False


@pytest.mark.parametrize(
    "ratios", [{"0": 0.5}, {"3": 0.99, "7": 0.1}, {"0": 0.3, "3": 0.3, "7": 0.9}]
)
def test_the_answer_is_what_shrinking_and_evaluating_by_hand_gives(box, net, data, ratios):
    answer, small = box.show(ratios).wait(60).answer, shrunk(net, data, ratios)
    before, after = (train.evaluate(n, data.val) for n in (net, small))
    assert (answer.accuracy, answer.whole) == (after.accuracy, before.accuracy)
    interval = sensitivity.paired_interval(before.correct, after.correct)
    assert (answer.low, answer.high) == interval
    price = cost.measure(small, data.example)
    assert (answer.params, answer.macs) == (price.params, price.macs)
    assert (answer.how, answer.images, answer.total) == ("measured", 60, 60)
    assert answer.seconds > 0 and answer.whole_seconds > 0
    said = text_of(box.text)
    assert f"{100 * answer.accuracy:.1f}% accuracy" in said
    assert "measured on the physically shrunk network; 60 images" in said
    assert words.time(answer.seconds) in said


def test_the_untouched_network_takes_exactly_its_own_time_and_others_are_timed_in_turns_with_it(
    net, data, monkeypatch
):
    """However the machine's speed changes: here each call takes longer than the one before."""
    calls = []

    def slower(timed, *_, **__):
        calls.append(timed)
        return cost.Latency(len(calls) / 1000, 0, 0, 1, 1)

    monkeypatch.setattr(timing.cost, "latency", slower)
    source = Live(net, data)
    *_, whole = source.answers({}, never)
    assert whole.seconds == whole.whole_seconds
    assert "100% ≈" in text_of_answer(whole, source)
    calls.clear()
    *_, half = source.answers({"0": 0.5}, never)
    assert [one is source.net for one in calls[:4]] == [True, False, False, True]
    assert half.seconds == pytest.approx(half.whole_seconds, abs=0.0015)
    assert re.search(r"≈ \d+% ≈", text_of_answer(half, source))


def text_of_answer(answer, source):
    said = words.answer(answer, source.cost({}), source.whole)
    return " ".join(re.sub("<[^>]+>", " ", said).split())


def test_both_ends_of_the_slider_are_measured(box, net, data):
    for ratio in (0.95, 0.0):
        box.slider.value = ratio
        small = shrunk(net, data, {"0": ratio})
        assert box.wait(60).answer.accuracy == train.evaluate(small, data.val).accuracy
        assert f"0   {scores.kept(8, ratio)}/8" in [label for label, _ in box.groups.options]


def test_answers_are_refined_on_more_and_more_of_the_same_images(net, data, monkeypatch):
    monkeypatch.setattr(live, "BATCH", 8)
    source = Live(net, data)
    answers = list(source.answers({"0": 0.5}, never))
    assert [a.images for a in answers] == [8, 16, 32, 60, 60]
    assert [a.seconds is None for a in answers] == [True] * 4 + [False]
    small = shrunk(net, data, {"0": 0.5})
    for answer in answers:
        part = data.val[: answer.images]
        assert answer.accuracy == train.evaluate(small, part).accuracy
        assert answer.whole == train.evaluate(net, part).accuracy
    assert list(source.answers({"0": 0.5}, never)) == answers[-1:]  # known by now
    assert source.known({"0": 0.5}) == answers[-1]


def test_between_two_batches_it_stops_when_told_to(net, data, monkeypatch):
    monkeypatch.setattr(live, "BATCH", 8)
    source, seen = Live(net, data), []
    with pytest.raises(StoppedError):
        for answer in source.answers({"0": 0.5}, lambda: len(seen) >= 2):
            seen.append(answer)
    assert [a.images for a in seen] == [8, 16]
    assert source.known({"0": 0.5}) is None


def test_a_newer_setting_stops_an_older_one_and_is_the_one_shown(box, monkeypatch):
    entered, gate, asked = threading.Event(), threading.Event(), []
    judge = Live._right

    def slow(*arguments):
        asked.append(threading.current_thread())
        entered.set()
        gate.wait(20)
        return judge(*arguments)

    monkeypatch.setattr(Live, "_right", slow)
    box.slider.value = 0.25
    assert entered.wait(20)
    box.slider.value = 0.5
    box.slider.value = 0.75
    assert "measuring" in text_of(box.text)
    gate.set()
    answer = box.wait(60).answer
    assert answer.macs == box.source.cost({"0": 0.75})[1]
    assert box.source.known({"0": 0.5}) is None  # never run
    assert threading.main_thread() not in asked


def test_the_network_given_is_never_changed_and_later_changes_do_not_matter(net, data):
    net.train()
    net[1].eval()
    calls = []
    handle = net[3].register_forward_hook(lambda *_: calls.append(1))
    state = {k: v.clone() for k, v in net.state_dict().items()}
    box = widgets.explorer(net, data)
    whole = box.wait(60).answer
    box.show({"0": 0.5, "3": 0.5}).wait(60)
    assert [m.training for m in net] == [True, False] + [True] * 8
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert [len(m._forward_hooks) for m in net] == [0, 0, 0, 1] + [0] * 6
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    handle.remove()
    with torch.no_grad():
        net[0].weight.zero_()
    box.source._final.clear()
    assert box.reset.click() is None
    assert box.wait(60).answer.accuracy == whole.accuracy
    box.close()


def test_an_error_of_the_worker_appears_in_the_text(box, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no <network> today")

    monkeypatch.setattr(live.train, "evaluate", broken)
    box.slider.value = 0.5
    box.wait(60)
    assert "no &lt;network&gt; today" in box.text.value
    assert "#D55E00" in box.text.value
    monkeypatch.undo()
    box.slider.value = 0.25
    assert "measured" in text_of(box.wait(60).text)

"""Code, files, scans and fine-tuning from the explorer."""

import dataclasses
import threading
import time

import pytest
from helpers.recordings import shrunk
from helpers.toy import quiet, same
from helpers.widget_text import text_of

from prunelab import sensitivity, surgery, train, widgets
from prunelab.widgets.exploring import jobs, live, timing
from prunelab.widgets.exploring.panel import SOLVER


@pytest.fixture
def box(net, data):
    made = widgets.explorer(net, data, scan=False)
    yield made.wait(60)
    made.close()


@pytest.mark.parametrize("criterion", ["l1", "random"])
def test_the_code_runs_and_rebuilds_the_network_on_show(net, data, criterion):
    box = widgets.explorer(net, data, criterion=criterion, ratios={"0": 0.3, "7": 0.85})
    names = {"net": net}
    exec(box.code.value, names)
    small, keep, _ = box.source.network(box.ratios)
    assert same(names["small"], small)
    assert {g: k.tolist() for g, k in names["keep"].items()} == {
        g: k.tolist() for g, k in keep.items()
    }
    box.close()


def test_a_saved_network_is_read_back_as_it_was_shown(box, net, data, tmp_path):
    path = tmp_path / "small.safetensors"
    box.show({"0": 0.5, "7": 0.25})
    box.save.path.value = str(path)
    box.save.button.click()
    again = surgery.load(net, path)
    assert same(again, shrunk(net, data, {"0": 0.5, "7": 0.25}))
    said = text_of(box.save.note)
    assert f"{path.stat().st_size / 1e6:.2f} MB" in said
    assert "surgery.load(net, " in said


def test_a_file_that_cannot_be_written_is_said_and_the_answer_stays(box, tmp_path):
    (tmp_path / "text").write_text("a file")
    box.save.path.value = str(tmp_path / "text" / "small.safetensors")
    box.save.button.click()
    assert text_of(box.refused).strip().startswith("save: cannot write")
    assert "accuracy" in text_of(box.text)


def test_a_scan_gives_curves_a_picture_the_solver_and_a_comparison(box, net, data):
    assert box.source.curves is None
    assert SOLVER not in box.preset.options
    assert "Scan all groups first" in text_of(box.compare)
    assert box.chart.layout.display == "none"
    box.slider.value = 0.5
    box.scan.images.value = 40
    box.scan.button.click()
    box.wait(60)
    expected = sensitivity.scan(net, data.val[:40], ratios=live.GRID, progress=False)
    columns = ["group", "ratio", "kept", "correct", "accuracy", "params", "macs"]
    assert box.source.curves[columns].equals(expected[columns])
    assert box.source.curves.attrs["whole"] == expected.attrs["whole"]
    assert box.chart.layout.display is None
    assert [curve["name"] for curve in box.chart.curves] == list(box.source.sizes)
    assert "the solver's" in text_of(box.compare)
    assert not box.scan.button.disabled
    box.preset.value = SOLVER
    answer = box.wait(60).answer
    assert answer.how == "measured"
    assert answer.macs <= box.source.whole["macs"] / 2
    assert words_of_both(box) == 2


def words_of_both(box):
    """How often the comparison gives the measured accuracy of what is on show."""
    return text_of(box.compare).count(f"{100 * box.answer.accuracy:.1f}%")


def test_a_stopped_scan_leaves_no_curves_and_its_button_free(box, monkeypatch):
    def scan(*arguments, **options):
        box.scan.stop.click()
        return real(*arguments, **options)

    real = sensitivity.scan
    monkeypatch.setattr(live.sensitivity, "scan", scan)
    box.scan.button.click()
    box.wait(60)
    assert box.source.curves is None
    assert "Stopped" in text_of(box.scan.note)
    assert not box.scan.button.disabled


def test_an_error_of_a_scan_appears_in_the_text_and_frees_the_button(box, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no scan today")

    monkeypatch.setattr(live.sensitivity, "scan", broken)
    box.scan.button.click()
    box.wait(60)
    assert "no scan today" in text_of(box.refused)
    assert "accuracy" in text_of(box.text)
    assert not box.scan.button.disabled and not box.finetune.button.disabled


def test_fine_tuning_is_fit_on_the_training_images_and_its_network_is_used_from_then_on(
    net, data, tmp_path
):
    retrain = train.Budget(epochs=1, lr=0.02, batch=16)
    box = widgets.explorer(net, data, ratios={"0": 0.7, "3": 0.5}, retrain=retrain).wait(60)
    pruned = box.answer
    box.finetune.epochs.value = 2
    box.finetune.button.click()
    assert box.scan.button.disabled  # one at a time
    answer = box.wait(60).answer
    small = shrunk(net, data, box.ratios)
    quiet(small, data, dataclasses.replace(retrain, epochs=2))
    assert answer.accuracy == train.evaluate(small, data.val).accuracy
    assert (answer.epochs, answer.macs) == (2, pruned.macs)
    assert "after 2 epochs of fine-tuning" in text_of(box.text)
    names = {"net": net, "data": data}
    exec(box.code.value, names)
    assert same(names["small"], small)
    box.save.path.value = str(tmp_path / "tuned.safetensors")
    box.save.button.click()
    assert same(surgery.load(net, tmp_path / "tuned.safetensors"), small)
    box.reset.click()  # the others are as they were
    assert box.wait(60).answer.epochs == 0
    box.undo.click()
    assert box.wait(60).answer == answer
    box.close()


def test_fine_tuning_that_is_stopped_changes_nothing(box, monkeypatch):
    before = box.show({"0": 0.5}).wait(60).answer

    def fit(*arguments, after_step, **options):
        box.finetune.stop.click()
        return real(*arguments, after_step=after_step, **options)

    real = train.fit
    monkeypatch.setattr(live.train, "fit", fit)
    box.finetune.epochs.value = 500
    box.finetune.button.click()
    box.wait(60)
    assert "as it was before" in text_of(box.finetune.note)
    assert box.source.budgets(box.ratios) == []
    assert box.answer == before
    assert not box.finetune.button.disabled


def test_without_training_images_fine_tuning_says_why_not(net, data):
    box = widgets.explorer(net, data.val, scan=False)
    assert box.finetune.button.disabled
    assert "no training images" in box.finetune.button.tooltip
    assert "no training images" in text_of(box.finetune.note)
    assert not box.save.button.disabled and not box.scan.button.disabled
    box.close()


def test_before_a_scan_the_picture_for_readers_without_a_kernel_is_the_map(box):
    whole = box._repr_mimebundle_()["image/png"]
    box.show({"0": 0.9})
    assert box._repr_mimebundle_()["image/png"] != whole


def test_the_curves_come_by_themselves_on_few_images_first(net, data, monkeypatch):
    monkeypatch.setattr(jobs, "FEW", 20)
    seen = []
    real = live.Live.scan

    def scan(source, images, advance):
        seen.append(images)
        real(source, images, advance)

    monkeypatch.setattr(live.Live, "scan", scan)
    box = widgets.explorer(net, data).wait(60)
    assert seen == [20, 60]
    assert box.source.curves.attrs["whole"]["images"] == 60
    assert SOLVER in box.preset.options and box.chart.layout.display is None
    box.close()


def test_a_scan_waits_while_a_slider_is_answered(net, data, monkeypatch):
    box = widgets.explorer(net, data, scan=False).wait(60)
    gate, told = threading.Event(), []
    box.worker.submit(lambda stop: gate.wait(20))

    def scan(source, images, advance):
        told.append("begun")
        advance(0.5)
        told.append("goes on")
        real(source, images, lambda done: None)

    real = live.Live.scan
    monkeypatch.setattr(live.Live, "scan", scan)
    box.scan.button.click()
    time.sleep(0.3)
    assert told == ["begun"]
    gate.set()
    box.wait(60)
    assert told[:2] == ["begun", "goes on"]
    box.close()


def test_before_and_after_a_fine_tuning_are_said_and_both_can_be_returned_to(net, data):
    retrain = train.Budget(epochs=1, lr=0.02, batch=16)
    box = widgets.explorer(net, data, ratios={"0": 0.7, "3": 0.5}, retrain=retrain, scan=False)
    before = box.wait(60).answer
    box.finetune.button.click()
    first = box.wait(60).answer
    box.finetune.button.click()
    second = box.wait(60).answer
    assert [a.epochs for a in (before, first, second)] == [0, 1, 2]
    said = text_of(box.finetune.note)
    assert f"{100 * first.accuracy:.1f}% → {100 * second.accuracy:.1f}%" in said
    assert [step.plan.tuned for step in box.visited.steps] == [(), (1,), (1, 1)]
    assert [step.parent for step in box.visited.steps] == [None, 0, 1]
    assert box.plan.value.endswith("+1+1")
    for number, answer in ((0, before), (1, first), (2, second)):
        box.history.value = number
        assert box.wait(60).answer == answer
        assert len(box.source.budgets(box.ratios)) == number
        assert box.code.value.count("train.fit") == number
    box.close()


def test_a_plan_that_was_fine_tuned_elsewhere_says_what_is_missing(box):
    box.plan.value = "0=0.5 +3"
    assert box.wait(60).ratios == {"0": 0.5}
    assert "0 of its 3 epochs of fine-tuning were done here" in text_of(box.finetune.note)


def tuning(box, epochs=1):
    """Start a fine-tuning; the function that is returned lets it end."""
    inside, gate = threading.Event(), threading.Event()
    real = type(box.source).finetune

    def slow(source, plan, number, advance):
        inside.set()
        gate.wait(20)
        return real(source, plan, number, advance)

    box.source.finetune = slow.__get__(box.source)
    box.finetune.epochs.value = epochs
    box.finetune.button.click()
    assert inside.wait(20)

    def end():
        gate.set()
        del box.source.finetune
        return box.wait(60)

    return end


def test_other_channels_by_hand_meanwhile_do_not_get_the_fine_tuning(box):
    box.plan.value = "0:0,1,2,3"
    end = tuning(box.wait(60), 2)
    box.plan.value = "0:4,5,6,7"
    other = end().answer
    assert box.plan.value == "0:4,5,6,7" and other.epochs == 0
    lines = [line for line, _ in box.history.options]
    assert any("fine-tuned 2 epochs" in line for line in lines)
    tuned = next(n for line, n in box.history.options if "fine-tuned" in line)
    box.history.value = tuned
    assert box.wait(60).plan.value == "0:0,1,2,3 +2" and box.answer.epochs == 2
    assert f"→ {100 * box.answer.accuracy:.1f}%" in text_of(box.finetune.note)


def test_going_back_meanwhile_stays_there_and_loses_no_version(box):
    box.show({"0": 0.5}).wait(60)
    box.finetune.button.click()
    first = box.wait(60).answer
    end = tuning(box, 3)
    box.plan.value = "0=0.5"
    assert end().plan.value == "0=0.5" and box.answer.epochs == 0
    for text, epochs in (("0=0.5 +1", 1), ("0=0.5 +1+3", 4)):
        box.plan.value = text
        assert box.wait(60).answer.epochs == epochs
    box.plan.value = "0=0.5 +1"
    assert box.wait(60).answer == first


def test_as_many_epochs_in_other_steps_are_another_network(box):
    box.show({"0": 0.5, "3": 0.5}).wait(60)
    for _ in range(2):
        box.finetune.button.click()
        box.wait(60)
    box.plan.value = "0=0.5 3=0.5"
    box.finetune.epochs.value = 2
    box.wait(60).finetune.button.click()
    at_once = box.wait(60).source.network(box.ratios)[0]
    assert box.plan.value.endswith("+2")
    box.undo.click()
    assert box.wait(60).plan.value == "0=0.5 3=0.5"  # the plan before the fine-tuning
    box.plan.value = "0=0.5 3=0.5 +1+1"
    assert not same(box.wait(60).source.network(box.ratios)[0], at_once)


@pytest.mark.parametrize("moment", ["while it is measured", "while it is timed"])
def test_an_answer_is_kept_for_the_plan_that_it_was_asked_for(box, monkeypatch, moment):
    inside, gate = threading.Event(), threading.Event()
    where = live.Live if moment == "while it is measured" else timing.cost
    name = "_right" if moment == "while it is measured" else "latency"
    real = getattr(where, name)

    def slow(*arguments, **options):
        inside.set()
        gate.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(where, name, slow)
    box.plan.value = "0:0,1,2,3"
    assert inside.wait(20)
    box.plan.value = "0:4,5,6,7"
    gate.set()
    box.wait(60)
    monkeypatch.undo()
    for text in ("0:0,1,2,3", "0:4,5,6,7"):
        box.plan.value = text
        small = box.wait(60).source.network(box.ratios)[0]
        assert box.answer.accuracy == train.evaluate(small, box.source.split).accuracy


def test_clicks_on_what_is_disabled_do_nothing(net, data):
    box = widgets.explorer(net, data.val, scan=False).wait(60)
    box.finetune.button.click()
    box.inside.grid.removed = []
    assert "error" not in text_of(box.wait(60).text)
    box.close()

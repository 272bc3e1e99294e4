"""The explorer on a network and images, without a kernel: what it says is what is measured."""

import dataclasses
import threading

import pytest
import torch
from helpers.toy import dataset, quiet, same, split
from helpers.widget_text import text_of
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prunelab import cost, scores, sensitivity, surgery, train, widgets
from prunelab.data.tensors import as_split
from prunelab.groups import trace
from prunelab.methods import FilterNorm
from prunelab.widgets.exploring import live
from prunelab.widgets.exploring.live import Live
from prunelab.widgets.exploring.panel import SOLVER

IMAGES, LABELS = torch.zeros(4, 1, 8, 8), torch.zeros(4).long()
BUDGET = train.Budget(epochs=4, lr=0.05, batch=16)


@pytest.fixture(scope="module")
def data():
    small = dataset(120)
    return dataclasses.replace(small, val=split(60, seed=7))


@pytest.fixture(scope="module")
def trained(data):
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6),
        nn.ReLU(), nn.Flatten(), nn.Linear(96, 12), nn.ReLU(), nn.Linear(12, 3),
    )  # fmt: skip
    quiet(net, data, BUDGET)
    return net


@pytest.fixture
def net(trained):
    copied = surgery.rebuild(trained, lambda _, tensor: tensor)
    return copied.eval()


@pytest.fixture
def box(net, data):
    made = widgets.explorer(net, data)
    yield made.wait(60)
    made.close()


def shrunk(net, data, ratios):
    groups = trace(net, data.example)
    return surgery.shrink(net, groups, FilterNorm(ratios).prune(net, data.example))


def never():
    return False


# ---- answers


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
    assert answer.seconds > 0 and box.source.whole["seconds"] > 0
    said = text_of(box.text)
    assert f"{100 * answer.accuracy:.1f}% accuracy" in said
    assert "measured on the physically shrunk network; 60 images" in said
    assert " ms" in said


def test_both_ends_of_the_slider_are_measured(box, net, data):
    for ratio in (0.95, 0.0):
        box.slider.value = ratio
        small = shrunk(net, data, {"0": ratio})
        assert box.wait(60).answer.accuracy == train.evaluate(small, data.val).accuracy
        assert f"0   {scores.kept(8, ratio)}/8" in [label for label, _ in box.groups.options]


def test_answers_are_refined_on_growing_parts_of_the_same_images(net, data, monkeypatch):
    monkeypatch.setattr(live, "FIRST", (4, 8))
    source = Live(net, data)
    answers = list(source.answers({"0": 0.5}, never))
    assert [a.images for a in answers] == [8, 24, 40, 56, 60, 60]
    assert [a.seconds is None for a in answers] == [True] * 5 + [False]
    small = shrunk(net, data, {"0": 0.5})
    for answer in answers:
        part = data.val[: answer.images]
        assert answer.accuracy == train.evaluate(small, part).accuracy
        assert answer.whole == train.evaluate(net, part).accuracy
    assert list(source.answers({"0": 0.5}, never)) == answers[-1:]  # known by now
    assert source.known({"0": 0.5}) == answers[-1]


def test_between_two_parts_it_stops_when_told_to(net, data, monkeypatch):
    monkeypatch.setattr(live, "FIRST", (4, 8))
    source, seen = Live(net, data), []
    for answer in source.answers({"0": 0.5}, lambda: len(seen) >= 2):
        seen.append(answer)
    assert [a.images for a in seen] == [8, 24]
    assert source.known({"0": 0.5}) is None


def test_a_newer_setting_stops_an_older_one_and_is_the_one_shown(box, monkeypatch):
    entered, gate, asked = threading.Event(), threading.Event(), []
    judge = live.right

    def slow(*arguments):
        asked.append(threading.current_thread())
        entered.set()
        gate.wait(20)
        return judge(*arguments)

    monkeypatch.setattr(live, "right", slow)
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


# ---- own images


def test_datasets_splits_loaders_and_tensors_of_the_same_images_answer_alike(net, data):
    x, y = data.val.batch(slice(None))
    loader = DataLoader(TensorDataset(x, y), batch_size=7)
    found = set()
    for images in (data, data.val, loader, (x, y), [x.double(), y.int()]):
        *_, answer = Live(net, images).answers({"0": 0.5}, never)
        found.add((answer.accuracy, answer.whole, answer.low, answer.total))
    assert len(found) == 1


def test_bytes_become_pixels_over_255():
    images = split(20)
    own = as_split((images.images, images.labels))
    x, y = own.batch(slice(3, 9))
    torch.testing.assert_close(x, images.images[3:9] / 255)
    assert torch.equal(y, images.labels[3:9])


def test_floats_stay_as_they_are_in_batches_and_when_trained_on(net):
    x, y = torch.randn(30, 1, 8, 8), torch.arange(30) % 3
    own = as_split((x, y))
    assert torch.equal(torch.cat([images for images, _ in own.batches(7)]), x)
    assert torch.equal(own.to("cpu")[5:7].images, x[5:7])
    box = widgets.explorer(net, (x, y), train=(x, y))
    box.finetune.button.click()
    assert "Done" in text_of(box.wait(60).finetune.note)
    box.close()


def test_vectors_answer_too():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    x, y = torch.randn(30, 5), torch.arange(30) % 3
    *_, answer = Live(net, (x, y)).answers({"0": 0.5}, never)
    assert answer.params == 4 * 5 + 4 + 3 * 4 + 3


def test_the_split_and_the_number_of_images_can_be_chosen(net, data):
    *_, answer = Live(net, data, split="test").answers({}, never)
    assert (answer.total, answer.accuracy) == (12, train.evaluate(net, data.test).accuracy)
    *_, answer = Live(net, data, images=20).answers({}, never)
    assert (answer.total, answer.accuracy) == (20, train.evaluate(net, data.val[:20]).accuracy)
    read = []
    loader = (read.append(1) or (torch.randn(8, 1, 8, 8), torch.zeros(8).long()) for _ in range(9))
    assert len(as_split(loader, images=12)) == 12
    assert len(read) == 2  # no more than are needed


def test_the_criterion_ranks_and_the_code_says_which(net, data):
    order = {g: torch.arange(v.size).float() for g, v in trace(net, data.example).items()}
    by_scores, by_name = Live(net, data, criterion=order), Live(net, data, criterion="largest")
    assert by_scores.network({"0": 0.5})[1]["0"].tolist() == [False] * 4 + [True] * 4
    assert by_name.network({"0": 0.5})[1]["0"].tolist() == (
        scores.best(-scores.norms(net, by_name.groups)["0"], 4).tolist()
    )
    assert (by_scores.criterion, by_name.criterion) == (None, "largest")


# ---- code, files, scan, fine-tuning


@pytest.mark.parametrize("criterion", ["l1", "random"])
def test_the_code_runs_and_rebuilds_the_network_on_show(net, data, criterion):
    box = widgets.explorer(net, data, criterion=criterion, ratios={"0": 0.3, "7": 0.85})
    names = {"net": net}
    exec(box.code.value, names)
    small, keep = box.source.network(box.ratios)
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


def test_a_file_that_cannot_be_written_is_an_error_in_the_text(box, tmp_path):
    (tmp_path / "text").write_text("a file")
    box.save.path.value = str(tmp_path / "text" / "small.safetensors")
    box.save.button.click()
    assert "save: cannot write" in text_of(box.text)


def test_a_scan_gives_curves_a_picture_the_solver_and_a_comparison(box, net, data):
    assert box.source.curves is None
    assert SOLVER not in box.preset.options
    assert "Scan all groups first" in text_of(box.compare)
    assert box.picture.layout.display == "none"
    box.slider.value = 0.5
    before = bytes(box.picture.value)
    box.scan.images.value = 40
    box.scan.button.click()
    box.wait(60)
    expected = sensitivity.scan(net, data.val[:40], ratios=live.GRID, progress=False)
    columns = ["group", "ratio", "kept", "correct", "accuracy", "params", "macs"]
    assert box.source.curves[columns].equals(expected[columns])
    assert box.source.curves.attrs["whole"] == expected.attrs["whole"]
    assert bytes(box.picture.value) != before
    assert box.picture.layout.display is None
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
    assert "no scan today" in text_of(box.text)
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
    with live.all_cores():  # the number of threads decides the last digit
        quiet(small, data, dataclasses.replace(retrain, epochs=2))
    assert answer.accuracy == train.evaluate(small, data.val).accuracy
    assert (answer.epochs, answer.macs) == (2, pruned.macs)
    assert "after 2 epochs of fine-tuning" in text_of(box.text)
    names = {"net": net, "data": data}
    with live.all_cores():
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
    box = widgets.explorer(net, data.val)
    assert box.finetune.button.disabled
    assert "no training images" in box.finetune.button.tooltip
    assert "no training images" in text_of(box.finetune.note)
    assert not box.save.button.disabled and not box.scan.button.disabled
    box.close()


def test_before_a_scan_the_picture_for_readers_without_a_kernel_is_the_map(box):
    whole = box._repr_mimebundle_()["image/png"]
    box.show({"0": 0.9})
    assert box._repr_mimebundle_()["image/png"] != whole


# ---- refusals


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"net": "lenet-5"}, TypeError, "`net` must be a network; got 'lenet-5'"),
        ({"data": 3}, TypeError, "`data` must be a Dataset, a Split, .*; got int"),
        ({"data": "mnist"}, TypeError, "`data` must be a Dataset.*; got str"),
        ({"data": [1, 2, 3]}, TypeError, "it gives batches of kind int"),
        ({"data": []}, ValueError, "`data` has no images"),
        ({"data": split(0)}, ValueError, "`data` has no images"),
        ({"split": "train"}, ValueError, "`split` must be one of val, test; got 'train'"),
        ({"images": 0}, ValueError, "`images` must be an integer >= 1 or None, got 0"),
        ({"images": 2.5}, ValueError, "`images` must be .* got 2.5"),
        ({"data": (IMAGES, torch.zeros(3).long())}, ValueError, "must hold images"),
        ({"data": (IMAGES, torch.zeros(4))}, ValueError, "integer labels"),
        ({"data": (torch.zeros(4, 8).byte(), LABELS)}, ValueError, "floats or uint8"),
        ({"data": (torch.zeros(4, 2, 8, 8), LABELS)}, ValueError, "does not fit"),
        ({"net": nn.Linear(64, 3), "data": (torch.zeros(4, 64), LABELS)},
         ValueError, "`net` has no group to prune"),
        ({"criterion": "l3"}, ValueError, "`criterion` must be one of l1"),
        ({"ratios": {"nine": 0.5}}, ValueError, "no group `nine`; groups are 0, 3, 7"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_in_one_line(net, data, change, error, message):
    arguments = {"net": net, "data": data} | change
    with pytest.raises(error, match=message) as caught:
        widgets.explorer(**arguments)
    assert "\n" not in str(caught.value)

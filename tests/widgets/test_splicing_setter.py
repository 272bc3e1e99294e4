"""The threshold setter without a kernel: set values, look at what follows."""

import base64
import re
import time

import ipywidgets as w
import numpy as np
import pytest
import torch
from helpers.pruning import first_cut
from helpers.widget_text import is_picture, text_of
from torch import nn

from prunelab import models, plots, scores, train, widgets
from prunelab.methods import NetworkSurgery
from prunelab.methods.masking.splicing import threshold
from prunelab.scores import layers_of, magnitudes
from prunelab.widgets.threshold_setter import SortedWeights

ENDS = (-1.0, 8.0)


def broken(*_, **__):
    raise RuntimeError("no <picture> today")


def network():
    """Four layers: a convolution, one without bias, one whose weights are all equal, a linear."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3, bias=False), nn.Flatten(), nn.Linear(24, 5),
        nn.Linear(5, 3),
    )  # fmt: skip
    nn.init.constant_(net[3].weight, 0.25)
    nn.init.constant_(net[3].bias, -0.25)
    return net


@pytest.fixture(scope="module")
def lenet():
    torch.manual_seed(3)
    return models.build("lenet-300-100")


def rows_of(box):
    """First cell -> cells of the table."""
    rows = re.findall(r"<tr>(.*?)</tr>", box.text.value, re.DOTALL)
    cells = [
        [text_of(w.HTML(c)).strip() for c in re.findall(r"<td.*?</td>", r, re.DOTALL)] for r in rows
    ]
    return {row[0]: row for row in cells}


@pytest.mark.parametrize("seed", range(3))
def test_kept_weights_are_those_of_the_first_cut_all_along_the_slider(seed):
    torch.manual_seed(seed)
    for net in (models.build("lenet-300-100"), network()):
        found = layers_of(net).items()
        layers = {name: SortedWeights(name, module, (0.9, 1.1)) for name, module in found}
        for c in np.linspace(*ENDS, 91).round(1).tolist():
            assert {name: layer.kept(c) for name, layer in layers.items()} == first_cut(net, c)


def test_layers_are_set_one_by_one_and_text_and_picture_follow(lenet):
    box = widgets.threshold_setter(lenet)
    rates = dict.fromkeys(box.sliders, 1.0)
    assert list(rates) == ["fc1", "fc2", "fc3"]
    for name, c in (("fc2", 1.5), ("fc1", 0.3), ("fc3", -1.0)):
        before = bytes(box.picture.value)
        box.sliders[name].value = rates[name] = c
        cut = first_cut(lenet, rates)
        assert box.kept == cut
        assert {n: rows_of(box)[n][4] for n in cut} == {n: f"{k:,}" for n, k in cut.items()}
        assert rows_of(box)[name][1] == f"{c:g}"
        assert bytes(box.picture.value) != before and is_picture(box.picture.value)


def test_the_table_gives_thresholds_shares_and_compression(lenet):
    box = widgets.threshold_setter(lenet, {"fc1": 1.2, "fc3": 0.5}, margins=(0.8, 1.3))
    cut = first_cut(lenet, {"fc1": 1.2, "fc3": 0.5}, 0.8)
    assert box.kept == cut
    for name, c in (("fc1", 1.2), ("fc3", 0.5)):
        size = magnitudes(lenet.get_submodule(name))
        at = float(threshold(lenet.get_submodule(name), c))
        _, _, low, high, _, share, remark = rows_of(box)[name]
        assert (low, high) == (f"{0.8 * at:.4f}", f"{1.3 * at:.4f}")
        assert share == f"{100 * cut[name] / len(size):.2f}%"
        assert remark == ""
    left, whole = sum(cut.values()), 235_500 + 1_010
    assert rows_of(box)["all"][4:] == [
        f"{left:,}", f"{100 * left / whole:.2f}%", f"{whole / left:.1f}×",
    ]  # fmt: skip


def test_both_ends_of_every_slider():
    net = network()
    box = widgets.threshold_setter(net)
    for end in ENDS:
        for name, slider in box.sliders.items():
            assert (slider.min, slider.max, slider.step) == (*ENDS, 0.1)
            slider.value = end
            assert box.kept[name] == first_cut(net, {name: end})[name]
            assert is_picture(box.picture.value)
    slider.value = 100  # beyond its end
    assert slider.value == ENDS[1]


def test_a_layer_that_would_be_emptied_is_red_and_says_so(lenet):
    box = widgets.threshold_setter(lenet)
    assert "emptied" not in box.text.value and "#b00020" not in box.text.value
    box.sliders["fc2"].value = 8.0
    assert box.kept["fc2"] == 0
    *_, kept, _, remark = rows_of(box)["fc2"]
    assert (kept, remark) == ("0", "emptied")
    assert box.text.value.count("color:#b00020") == 7  # the cells of that row
    box.sliders["fc2"].value = 2.0
    assert box.kept["fc2"] > 0
    assert "emptied" not in box.text.value


def test_when_all_is_emptied_or_zero_that_is_said():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    for parameter in net[1].parameters():
        nn.init.zeros_(parameter)
    box = widgets.threshold_setter(net, {"1": 0.0})
    assert "emptied" in text_of(box.text)
    assert rows_of(box)["all"][-1] == "nothing left"
    assert is_picture(box.picture.value)


def test_the_code_makes_the_method_with_these_rates(lenet):
    box = widgets.threshold_setter(lenet, {"fc1": 4.7, "fc2": 0})
    box.sliders["fc2"].value = 0.1 + 0.2  # as a browser may send it
    names = {"NetworkSurgery": NetworkSurgery, "budget": train.Budget(epochs=1, lr=0.1), "stop": 5}
    assert eval(box.code.value, names).c == {"fc1": 4.7, "fc2": 0.3}


def test_long_code_is_wrapped_and_still_code():
    names = [f"a_layer_with_a_long_name_{i}" for i in range(9)]
    net = nn.ModuleDict({name: nn.Linear(2, 2) for name in names})
    box = widgets.threshold_setter(net, 0.5)
    assert max(map(len, box.code.value.splitlines())) <= 100
    found = {"NetworkSurgery": NetworkSurgery, "budget": train.Budget(epochs=1, lr=0.1), "stop": 5}
    assert eval(box.code.value, found).c == dict.fromkeys(names, 0.5)


def test_the_network_is_only_read_and_only_at_the_start(lenet):
    before = {name: value.clone() for name, value in lenet.state_dict().items()}
    box = widgets.threshold_setter(lenet)
    with torch.no_grad():
        lenet.fc1.weight.mul_(2)
    kept = box.kept["fc1"]
    box.sliders["fc1"].value, box.sliders["fc1"].value = 2.0, 1.0
    assert box.kept["fc1"] == kept
    with torch.no_grad():
        lenet.fc1.weight.div_(2)
    assert all(torch.equal(value, before[name]) for name, value in lenet.state_dict().items())


def test_a_move_draws_once_and_does_not_look_at_the_weights_again(lenet, monkeypatch):
    box, drawn, sizes = widgets.threshold_setter(lenet), [], []
    draw = plots.magnitudes
    monkeypatch.setattr(plots, "magnitudes", lambda *a: drawn.append(1) or draw(*a))
    monkeypatch.setattr(scores, "magnitudes", lambda *a: sizes.append(1))
    box.sliders["fc1"].value += 0.05
    assert (drawn, sizes) == ([1], [])


def test_a_move_costs_no_more_than_the_first_picture(lenet):
    made, moves = [], []
    for c in np.linspace(0, 1.5, 5).round(1):
        start = time.process_time()  # of this process: others may be at work
        box = widgets.threshold_setter(lenet)
        made.append(time.process_time() - start)
        start = time.process_time()
        box.sliders["fc1"].value = float(c) + 0.05
        moves.append(time.process_time() - start)
    assert min(moves) < 1.5 * min(made)


def test_names_are_escaped_and_errors_are_seen(lenet, monkeypatch):
    net = nn.ModuleDict({"<b>": nn.Linear(20, 20)})
    box = widgets.threshold_setter(net, 0.5)
    assert "&lt;b&gt;" in box.text.value
    monkeypatch.setattr(plots, "magnitudes", broken)
    box.sliders["<b>"].value = 1.0
    assert "no &lt;picture&gt; today" in box.text.value


def test_what_cannot_be_set_is_refused(lenet):
    with pytest.raises(ValueError, match="`net` has no convolution or linear layer"):
        widgets.threshold_setter(nn.ReLU())
    with pytest.raises(ValueError, match=r"names 'fc9', which .* fc1, fc2, fc3"):
        widgets.threshold_setter(lenet, {"fc9": 1.0})
    with pytest.raises(ValueError, match="-1 to 8, got 9 for `fc1`"):
        widgets.threshold_setter(lenet, 9)
    net = nn.Linear(2, 2)
    nn.init.constant_(net.weight, float("nan"))
    with pytest.raises(ValueError, match="`a` holds values that are not finite"):
        widgets.threshold_setter(nn.ModuleDict({"a": net}))


def test_the_layers_are_those_that_splicing_knows():
    net = nn.Sequential(nn.Conv1d(1, 2, 2), nn.Conv3d(1, 2, 2), nn.ConvTranspose2d(1, 2, 2),
                        nn.BatchNorm2d(2), nn.Linear(2, 2))  # fmt: skip
    assert list(widgets.threshold_setter(net, 0.5).sliders) == list(layers_of(net))


def test_readers_without_a_kernel_see_the_picture_on_show(lenet):
    box = widgets.threshold_setter(lenet)
    box.sliders["fc1"].value = 2.0
    bundle = box._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == bytes(box.picture.value)
    assert "application/vnd.jupyter.widget-view+json" in bundle

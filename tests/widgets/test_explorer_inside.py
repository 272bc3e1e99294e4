"""Looking inside a group: pictures, ranks and losses are true, and a click prunes by hand."""

import numpy as np
import pytest
import torch
from helpers.toy import same
from helpers.widget_text import text_of

from prunelab import groups, models, sensitivity, surgery, train, widgets
from prunelab.data.tensors import as_split
from prunelab.widgets.channels import strip
from prunelab.widgets.exploring import looking
from prunelab.widgets.exploring.inside import COLOURS


@pytest.fixture
def box(net, data):
    made = widgets.explorer(net, data, scan=False)
    yield made.wait(60)
    made.close()


def without(net, data, group, channels):
    found = groups.trace(net, data.example)
    keep = torch.ones(found[group].size, dtype=torch.bool)
    keep[list(channels)] = False
    return surgery.shrink(net, found, {group: keep})


def test_the_group_that_is_selected_is_shown(box, net, data):
    box.groups.value = ("3",)
    box.wait(60)
    grid = box.inside.grid
    assert (box.inside.group, grid.size) == ("3", 6)
    expected = looking.filters(net, groups.trace(net, data.example)["3"])
    assert grid.filters["data"] == strip(expected)["data"]
    assert (grid.maps["h"], grid.maps["w"]) == (4, 4)
    assert bytes(box.inside.thumbnail.value).startswith(b"\x89PNG")
    assert set(grid.scores) == {
        "l1", "l2", "taylor", "geometric median", "mean activation", "batch norm",
    } == set(COLOURS)  # fmt: skip
    assert all(sorted(values) == sorted(n / 5 for n in range(6)) for values in grid.scores.values())
    box.groups.value = ("0", "3")
    assert box.inside.parts.layout.display == "none"
    assert "Select one group" in text_of(box.inside.note)


def test_a_criterion_that_a_group_has_nothing_for_is_left_out(box):
    box.groups.value = ("7",)  # a linear layer without batch norm
    assert "batch norm" not in box.wait(60).inside.grid.scores


def test_maps_are_what_the_layer_writes_for_the_photo(box, net, data):
    box.inside.photo.value = 5
    maps = box.wait(60).inside.grid.maps
    x, _ = data.val.batch(slice(5, 6))
    expected = net[:3](x)[0]
    found = np.frombuffer(maps["data"], np.uint8).reshape(8, 6, 6) / 255
    assert np.allclose(found, (expected / expected.max()).detach().numpy(), atol=0.003)


def test_kernels_of_images_are_shown_as_they_are_and_others_by_size():
    torch.manual_seed(0)
    vgg, x = models.build("vgg-16"), torch.zeros(1, 3, 32, 32)
    found = groups.trace(vgg, x)
    first, second = (found[name] for name in list(found)[:2])
    weight = vgg.state_dict()[f"{first.name}.weight"]
    shown = looking.filters(vgg, first)
    assert shown.shape == weight.shape
    largest = weight.abs().amax((1, 2, 3), keepdim=True)
    assert np.allclose(2 * shown - 1, weight / largest, atol=1e-6)  # grey is zero
    assert looking.filters(vgg, second).shape == (64, 1, 3, 3)
    assert all(0 <= looking.filters(vgg, g).min() <= 1 for g in found.values())


def test_which_classes_lose_is_what_removing_each_channel_really_does(net, data):
    table = sensitivity.each_channel(net, data.val, "3")
    before = train.evaluate(net, data.val).correct
    for channel in range(6):
        after = train.evaluate(without(net, data, "3", [channel]), data.val).correct
        for label in data.val.labels.unique().tolist():
            own = data.val.labels == label
            row = table[(table.channel == channel) & (table["class"] == label)].iloc[0]
            assert row.images == own.sum()
            change = (after[own].double() - before[own].double()).mean().item()
            assert row.change == pytest.approx(change)


def test_the_button_says_which_classes_lose_and_keeps_it(box, net, data, monkeypatch):
    box.groups.value = ("0",)
    box.wait(60)
    box.inside.task.button.click()
    grid = box.wait(60).inside.grid
    assert len(grid.notes) == len(grid.details) == 8
    assert all(line.startswith("without it, ") for line in grid.details)
    table = sensitivity.each_channel(net, data.val, "0")
    for channel, word in enumerate(grid.notes):
        own = table[table.channel == channel]
        worst = own.loc[own.change.idxmin()]
        loses = f"class {worst['class']:.0f}: −{-100 * worst.change:.0f}"
        assert word == (loses if worst.change < 0 else "none loses")
    assert any("class" in word for word in grid.notes)
    assert "the class that loses most" in text_of(box.inside.note)
    monkeypatch.setattr(looking.sensitivity, "each_channel", None)  # not asked again
    box.groups.value = ("3",)
    box.wait(60)
    assert grid.notes == [] and "loses most" not in text_of(box.inside.note)
    box.groups.value = ("0",)
    assert len(box.wait(60).inside.grid.notes) == 8


def test_channels_picked_by_hand_are_those_that_go(box, net, data):
    box.groups.value = ("0",)
    box.inside.grid.removed = [1, 4]
    answer = box.wait(60).answer
    small = without(net, data, "0", [1, 4])
    assert answer.accuracy == train.evaluate(small, data.val).accuracy
    assert same(box.source.network(box.ratios)[0], small)
    assert box.ratios == {"0": 0.25} and box.slider.value == 0.25
    assert box.plan.value == "0:1,4"
    names = {"net": net}
    exec(box.code.value, names)
    assert same(names["small"], small)
    box.inside.grid.removed = [1, 4, 5]
    box.undo.click()
    assert box.wait(60).answer == answer and box.inside.grid.removed == [1, 4]
    box.slider.value = 0.5  # the criterion chooses again
    assert box.source.hand == {}
    assert box.inside.grid.removed == box.source.removed("0", {"0": 0.5})
    box.plan.value = "0:1,4"
    assert box.wait(60).answer == answer


def test_a_hand_picked_network_and_the_criterions_own_are_not_mixed_up(box):
    own = box.show({"0": 0.25}).wait(60).answer
    gone = box.source.removed("0", {"0": 0.25})
    others = [n for n in range(8) if n not in gone][:2]
    box.inside.grid.removed = others
    box.wait(60)
    assert box.source.removed("0", box.ratios) == others
    box.history.value = 1
    assert box.wait(60).answer == own and box.inside.grid.removed == gone
    # moving another group keeps what was picked by hand
    box.history.value = 2
    box.wait(60)
    box.groups.value = ("3",)
    box.slider.value = 0.5
    assert box.source.hand == {"0": tuple(others)}


def test_a_group_must_keep_a_channel(box):
    box.groups.value = ("0",)
    box.inside.grid.removed = list(range(8))
    assert "`0` must keep one channel at least" in text_of(box.refused)
    assert "accuracy" in text_of(box.text)
    assert box.ratios == {}


def test_photos_of_three_colours_and_a_residual_stream():
    torch.manual_seed(0)
    net, x = models.build("resnet-20"), torch.randn(6, 3, 32, 32)
    box = widgets.explorer(net, (x, torch.arange(6)), scan=False).wait(60)
    assert box.inside.grid.filters["colours"] == 3
    for name in box.source.sizes:
        box.groups.value = (name,)
        grid = box.wait(60).inside.grid
        assert grid.size == box.source.sizes[name] and box.refused.value == ""
    box.close()


@pytest.mark.parametrize(
    ("group", "words"),
    [("9", "no group `9`"), ("only", "`only` cannot be pruned: it is a single")],
)
def test_bad_input_is_one_line(group, words):
    net = torch.nn.Sequential()
    net.only = torch.nn.Conv2d(1, 1, 3)
    net.last = torch.nn.Conv2d(1, 3, 6)
    net.flat = torch.nn.Flatten()
    images = as_split((torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])))
    with pytest.raises(ValueError, match=words) as error:
        sensitivity.each_channel(net, images, group)
    assert "\n" not in str(error.value)

"""shrink and masker: what they give, what they leave alone, what they refuse."""

from copy import deepcopy

import pytest
import torch
from helpers.pruning import batch, equal, outputs, random_keep, ready, state
from helpers.shrunk import pruned
from torch import nn

from prunelab import surgery
from prunelab.groups import trace
from prunelab.models import build


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet-300-100", (1, 28, 28)),
        ("lenet-5", (1, 28, 28)),
        ("vgg-16", (3, 32, 32)),
        ("resnet-56", (3, 32, 32)),
        ("preresnet-56", (3, 32, 32)),
    ],
)
def test_shrunk_equals_masked_on_the_papers_networks(name, shape):
    net, groups, keep, x = pruned(name, shape)
    full, masked, small = outputs(net, groups, keep, x)
    torch.testing.assert_close(small, masked, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(small, full)


def test_shrink_leaves_the_network_as_it_was():
    net, groups, keep, _ = pruned()
    before = state(net)
    small = surgery.shrink(net, groups, keep)
    with torch.no_grad():
        for p in small.parameters():
            p.zero_()
    assert equal(state(net), before)


def test_groups_without_an_entry_stay_whole():
    net, groups, keep, _ = pruned()
    small = surgery.shrink(net, groups, {"conv2": keep["conv2"]})
    assert (small.conv1.out_channels, small.fc1.out_features) == (20, 500)
    assert small.conv2.out_channels == int(keep["conv2"].sum())
    assert equal(state(surgery.shrink(net, groups, {})), state(net))


def test_channels_keep_their_order():
    net, groups, keep, _ = pruned()
    small = surgery.shrink(net, groups, keep)
    assert torch.equal(small.conv1.weight, net.conv1.weight[keep["conv1"]])
    assert torch.equal(small.fc2.weight, net.fc2.weight[:, keep["fc1"]])


def test_shared_tensors_stay_shared():
    net = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    net[2].weight = net[1].weight
    net = ready(net)
    groups = trace(net, batch(4))
    keep = {"0": torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool)}
    small = surgery.shrink(net, groups, keep)
    assert small[2].weight is small[1].weight
    assert small[1].weight.shape == (4, 4)


def test_type_device_gradients_and_mode_are_kept():
    net = build("resnet-20").bfloat16().train()
    net.conv1.weight.requires_grad_(False)
    groups = trace(net, torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16))
    small = surgery.shrink(net, groups, random_keep(groups))
    assert {p.dtype for p in small.parameters()} == {torch.bfloat16}
    assert not small.conv1.weight.requires_grad
    assert small.training


def test_a_shrunk_network_can_be_traced_and_shrunk_again():
    net, groups, keep, x = pruned("resnet-20", (3, 32, 32))
    small = surgery.shrink(net, groups, keep)
    again = trace(small, x)
    assert {n: g.size for n, g in again.items()} == {n: int(k.sum()) for n, k in keep.items()}


def test_masker_zeroes_again_after_each_step():
    net, groups, keep, _ = pruned()
    net = deepcopy(net)
    zero = surgery.masker(net, groups, keep)
    with torch.no_grad():
        net.conv1.weight.fill_(1.0)
    zero(7)
    assert torch.equal(net.conv1.weight.flatten(1).any(1), keep["conv1"])
    assert torch.equal(net.conv2.weight.transpose(0, 1).flatten(1).any(1), keep["conv1"])


@pytest.mark.parametrize("act", [surgery.shrink, surgery.masked, surgery.masker])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv1": torch.ones(19, dtype=torch.bool)}, "must have 20 entries"),
        ({"conv1": torch.zeros(20, dtype=torch.bool)}, "all 20 channels of `conv1`"),
        ({"conv7": torch.ones(20, dtype=torch.bool)}, "no group `conv7`"),
        ({"fc2": torch.ones(10, dtype=torch.bool)}, "`fc2` cannot be pruned"),
    ],
)
def test_a_keep_that_does_not_fit_is_refused(act, change, words):
    net, groups, _, _ = pruned()
    before = state(net)
    with pytest.raises(ValueError, match=words):
        act(net, groups, change)
    assert equal(state(net), before)


def test_groups_of_another_network_are_refused():
    net, _, _, _ = pruned()
    _, groups, keep, _ = pruned("resnet-20", (3, 32, 32))
    with pytest.raises(ValueError, match=r"`conv1.weight` of `net`|has no tensor"):
        surgery.shrink(net, groups, {"layer1.0.conv1": keep["layer1.0.conv1"]})

"""Layers whose inputs were pruned: they pick what they read, and what they pick is theirs."""

import pytest
import torch
from helpers.input_views import bools, drawn, traced
from helpers.networks import Net, conv, pooled
from helpers.pruning import batch, difference, equal, ready, state
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from prunelab import surgery
from prunelab.groups import trace
from prunelab.surgery.selection import SelectingConv2d, SelectingLinear


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["lenet-300-100", "lenet-5", "poolings", "resnet-20"]),
    share=st.sampled_from([0.1, 0.5, 0.9]),
    part=st.sampled_from([0.3, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_masked_equals_shrunk_where_groups_and_inputs_are_pruned_together(name, share, part, seed):
    net, x, groups = traced(name)
    g = torch.Generator().manual_seed(seed)
    names = [*groups, *(f"{layer}.inputs" for layer in groups.reads)]
    chosen = [n for n in names if torch.rand((), generator=g) < part]
    keep = {n: drawn(groups[n].size, share, g) for n in chosen}
    try:
        small = surgery.shrink(net, groups, keep)
    except ValueError as error:  # a group and a view may have nothing in common
        assert "nothing would be left of axis 1 of `" in str(error)
        assume(False)
    with torch.no_grad():
        expected = surgery.masked(net, groups, keep)(x)
        torch.testing.assert_close(small(x), expected, rtol=1e-9, atol=1e-11)
    left = {n: int(kept.sum()) for n, kept in keep.items()}
    for layer in groups.reads:
        read = small.get_submodule(layer).weight.shape[1]
        assert read <= left.get(f"{layer}.inputs", groups.reads[layer])


@pytest.mark.parametrize("name", ["resnet-20", "preresnet-56"])
def test_one_convolution_does_without_channels_of_a_stream_that_stays(name):
    net, x, groups = traced(name)
    g = torch.Generator().manual_seed(1)
    inner = [n for n in groups.reads if n.endswith(".conv1") and n.startswith("layer")]
    keep = {f"{n}.inputs": drawn(groups.reads[n], 0.5, g) for n in inner}
    small = surgery.shrink(net, groups, keep)
    for layer in inner:
        kept = keep[f"{layer}.inputs"]
        found, full = small.get_submodule(layer), net.get_submodule(layer)
        assert type(found) is SelectingConv2d
        assert torch.equal(found.index, kept.nonzero()[:, 0])
        assert torch.equal(found.weight, full.weight[:, kept])
        assert (found.in_channels, found.out_channels) == (int(kept.sum()), full.out_channels)
        assert small.get_submodule(layer.replace("conv1", "conv2")).weight.shape == (
            net.get_submodule(layer.replace("conv1", "conv2")).weight.shape
        )
    with torch.no_grad():
        assert difference(small(x), surgery.masked(net, groups, keep)(x)) < 1e-9
        assert difference(small(x), net(x)) > 1e-3


def test_an_index_counts_in_what_its_writers_still_write():
    net, _, groups = traced("poolings")
    picked = torch.ones(36, dtype=torch.bool)
    picked[[0, 1, 2, 10, 20, 27, 28]] = False  # channel 0: 0 to 8, 1: 9 to 17, 2: 18 to 26
    small = surgery.shrink(net, groups, {"b": bools(1, 0, 1, 1), "last.inputs": picked})
    arriving = [*range(9), *range(18, 36)]
    stay = [n for n in arriving if n not in (0, 1, 2, 20, 27, 28)]
    assert type(small.last) is SelectingLinear
    assert small.last.index.tolist() == [arriving.index(n) for n in stay]
    assert torch.equal(small.last.weight, net.last.weight[:, stay])
    assert small.b.out_channels == 3


@pytest.mark.parametrize(
    "picked", [bools(1, 1, 1, 1, 1), bools(1, 0, 1, 1, 0)], ids=["all", "what arrives"]
)
def test_a_layer_that_picks_all_that_arrives_gets_no_index(picked):
    net, _, groups = traced("poolings")
    keep = {"a": bools(1, 0, 1, 1, 0), "b.inputs": picked}
    small = surgery.shrink(net, groups, keep)
    assert type(small.b) is nn.Conv2d
    assert equal(state(small), state(surgery.shrink(net, groups, {"a": keep["a"]})))


def test_the_masked_network_has_zeros_where_nothing_is_picked():
    net, _, groups = traced("poolings")
    zero = surgery.masked(net, groups, {"b.inputs": bools(1, 0, 1, 1, 0)})
    assert torch.equal(zero.b.weight[:, [0, 2, 3]], net.b.weight[:, [0, 2, 3]])
    assert not zero.b.weight[:, [1, 4]].any()
    assert type(zero.b) is nn.Conv2d and torch.equal(zero.a.weight, net.a.weight)


def test_shrinking_inputs_leaves_the_network_as_it_was():
    net, _, groups = traced("lenet-5")
    before, kinds = state(net), [type(m) for m in net.modules()]
    keep = {"fc1.inputs": torch.arange(800) % 3 == 0, "conv2.inputs": torch.arange(20) < 7}
    small = surgery.shrink(net, groups, keep)
    with torch.no_grad():
        for p in small.parameters():
            p.zero_()
    assert equal(state(net), before)
    assert [type(m) for m in net.modules()] == kinds
    assert sorted(set(state(small)) - set(before)) == ["conv2.index", "fc1.index"]


def test_a_keep_that_together_would_empty_an_axis_is_refused_before_anything_is_done():
    net, _, groups = traced("poolings")
    only = {"b": bools(0, 1, 1, 1), "last.inputs": torch.arange(36) < 9}
    for act in (surgery.shrink, surgery.masked, surgery.masker):
        with pytest.raises(ValueError) as caught:
            act(net, groups, only)
        assert str(caught.value) == "shrink: nothing would be left of axis 1 of `last.weight`"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"last.inputs": torch.ones(35, dtype=torch.bool)}, "`last.inputs` must have 36 entries"),
        ({"last.inputs": torch.zeros(36, dtype=torch.bool)}, "all 36 channels of `last.inputs`"),
        ({"end.inputs": torch.ones(36, dtype=torch.bool)}, "no group `end.inputs`"),
    ],
)
def test_a_keep_of_inputs_that_does_not_fit_is_refused(change, words):
    net, _, groups = traced("poolings")
    with pytest.raises(ValueError, match=words):
        surgery.shrink(net, groups, change)


def test_a_layer_that_cannot_pick_is_refused_by_name():
    class Own(nn.Linear):
        pass

    net = ready(nn.Sequential(nn.Linear(4, 5), Own(5, 2)))
    with pytest.raises(ValueError, match=r"inputs of `1` cannot be picked: .* got Own$"):
        surgery.shrink(net, trace(net, batch(4)), {"1.inputs": bools(1, 0, 1, 1, 1)})


def test_shrinking_twice_composes_the_indices():
    net, x, groups = traced("lenet-5")
    first = {"fc1.inputs": torch.arange(800) % 3 != 0, "conv2.inputs": torch.arange(20) % 4 != 1}
    small = surgery.shrink(net, groups, first)
    again = trace(small, x)
    assert again.reads == {"conv1": 1, "conv2": 15, "fc1": 533, "fc2": 500}
    second = {"fc1.inputs": torch.arange(533) % 5 != 0, "conv2.inputs": torch.arange(15) < 8}
    twice = surgery.shrink(small, again, second)
    both = {}
    for name, kept in first.items():
        both[name] = kept.clone()
        both[name][kept] = second[name]
    once = surgery.shrink(net, groups, both)
    assert equal(state(twice), state(once))
    assert torch.equal(twice.fc1.index, both["fc1.inputs"].nonzero()[:, 0])
    with torch.no_grad():
        assert difference(twice(x), once(x)) < 1e-12
        assert difference(twice(x), surgery.masked(small, again, second)(x)) < 1e-9


def test_what_is_written_for_a_layer_that_picks_can_not_be_pruned_any_more():
    net, x, groups = traced("poolings")
    small = surgery.shrink(net, groups, {"b.inputs": bools(1, 0, 1, 1, 0)})
    again = trace(small, x)
    assert list(again) == ["b"] and "index_select" in again.fixed["a"]
    keep = {"b": bools(1, 0, 0, 1), "last.inputs": torch.arange(36) % 2 == 0}
    with torch.no_grad():
        smaller = surgery.shrink(small, again, keep)(x)
        assert difference(smaller, surgery.masked(small, again, keep)(x)) < 1e-9


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
def test_a_convolution_that_picks_pads_and_strides_as_before(padding):
    layer = nn.Conv2d(5, 4, 3, stride=2, padding=1, dilation=2, padding_mode=padding)
    net = ready(
        Net(lambda s, x: s.last(pooled(s.b(s.a(x)))), a=conv(3, 5), b=layer, last=nn.Linear(4, 2))
    )
    x = batch(3, 9, 9)
    groups, keep = trace(net, x), {"b.inputs": bools(1, 0, 0, 1, 1)}
    with torch.no_grad():
        small = surgery.shrink(net, groups, keep)(x)
        assert difference(small, surgery.masked(net, groups, keep)(x)) < 1e-12

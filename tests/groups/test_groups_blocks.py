"""Pixel shuffle and its kin, norms without tensors, transposed convolutions, tables."""

import warnings

import pytest
import torch
from helpers.networks import Net, conv, head, places, pooled, proven
from helpers.pruning import batch, ready
from torch import nn
from torch.nn import functional as F

from prunelab import surgery
from prunelab.groups import Groups, flow, trace
from prunelab.sensitivity.scanning.passes import Sweep, points
from prunelab.sensitivity.scanning.passes import forward as forward_whole
from prunelab.sensitivity.scanning.program import Program


def between(function, wide, narrow, **layers):
    return Net(lambda m, x: m.b(function(m, m.a(x))), a=conv(3, wide), b=conv(narrow, 2), **layers)


@pytest.mark.parametrize("function", [lambda m, x: F.pixel_shuffle(x, 2), lambda m, x: m.up(x)])
def test_pixel_shuffle_makes_units_of_four(function):
    groups = proven(between(function, 12, 3, up=nn.PixelShuffle(2)))
    assert groups["a"].size == 3
    assert ("a.weight", 0, 4, 0) in places(groups["a"])


@pytest.mark.parametrize(
    ("function", "wide"),
    [
        (lambda m, x: F.pixel_unshuffle(x, 2), 20),
        (lambda m, x: F.unfold(x, 2, stride=2).unflatten(2, (4, 4)), 20),
        (lambda m, x: F.fold(F.unfold(x, 2, stride=2), 8, 2, stride=2), 5),
        (lambda m, x: x.repeat_interleave(4, dim=1), 20),
    ],
)
def test_a_channel_becomes_several_in_a_row(function, wide):
    groups = proven(between(function, 5, wide))
    assert ("b.weight", 1, wide // 5, 0) in places(groups["a"])


@pytest.mark.parametrize("again", [lambda x: x.repeat(1, 2, 1, 1), lambda x: x.tile((2, 1, 1))])
def test_repeated_channels_stand_twice(again):
    groups = proven(between(lambda m, x: again(x), 5, 10))
    assert {("b.weight", 1, 1, 0), ("b.weight", 1, 1, 5)} <= places(groups["a"])


def test_a_channel_shuffle_ties_the_parts():
    groups = proven(between(lambda m, x: m.mix(x), 6, 6, mix=nn.ChannelShuffle(2)))
    assert groups["a"].size == 3
    assert {("a.weight", 0, 1, 0), ("a.weight", 0, 1, 3)} <= places(groups["a"])


def test_a_linear_layer_that_writes_maps_is_pruned_by_maps():
    net = Net(
        lambda m, x: m.b(m.a(pooled(x)).view(x.size(0), -1, 4, 4)), a=nn.Linear(3, 80), b=conv(5, 2)
    )
    groups = proven(net)
    assert groups["a"].size == 5 and ("a.weight", 0, 16, 0) in places(groups["a"])
    constant = Net(
        lambda m, x: m.b(m.a(pooled(x)).view(-1, 5, 4, 4)), a=nn.Linear(3, 80), b=conv(5, 2)
    )
    assert "splits its channels" in proven(constant).fixed["a"]


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_grouped_transposed_convolution_is_pruned_by_whole_groups(d):
    plain, turned = getattr(nn, f"Conv{d}d"), getattr(nn, f"ConvTranspose{d}d")
    net = nn.Sequential(plain(2, 8, 1), turned(8, 12, 2, 2, groups=4), nn.ReLU(), plain(12, 3, 1))
    groups = proven(net, 2, *[4] * d)
    assert groups["0"].size == 4
    small = surgery.shrink(net, groups, {"0": torch.tensor([True, False, True, True])})
    assert (small[1].groups, small[1].in_channels, small[1].out_channels) == (3, 6, 9)


def test_a_transposed_convolution_tied_to_a_convolution():
    def forward(m, x):
        return m.last(F.conv_transpose2d(m.b(F.relu(m.a(x))), m.b.weight))

    net = Net(forward, a=nn.Conv2d(3, 6, 1), b=nn.Conv2d(6, 5, 1), last=nn.Conv2d(6, 2, 1))
    groups = proven(net)
    assert groups["a"].size == 6 and groups["b"].size == 5
    assert groups["a"].consumers == ("b", "last")


NORMS = [
    nn.InstanceNorm2d(8), nn.BatchNorm2d(8, affine=False, track_running_stats=False),
]  # fmt: skip


@pytest.mark.parametrize("norm", NORMS)
def test_a_norm_without_tensors_knows_its_width(norm, tmp_path):
    net = ready(nn.Sequential(conv(3, 8), norm, nn.ReLU(), conv(8, 2)))
    x = batch(3, 8, 8)
    groups = Groups.from_json(trace(net, x).to_json())
    keep = {"0": torch.arange(8) < 5}
    small = surgery.shrink(net, groups, keep)
    assert small[1].num_features == 5 and net[1].num_features == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(small(x), surgery.masked(net, groups, keep)(x))
    assert trace(small, x)["0"].size == 5
    surgery.save(small, keep, tmp_path / "x.safetensors")
    again = surgery.load(net, tmp_path / "x.safetensors")
    assert again[1].num_features == 5
    assert trace(again, x)["0"].size == 5


def test_a_norm_over_a_concatenation_loses_what_each_part_loses():
    def forward(m, x):
        return m.last(m.norm(torch.cat([m.a(x), m.b(x)], 1)))

    net = Net(forward, a=conv(3, 4), b=conv(3, 6), norm=nn.InstanceNorm2d(10), last=conv(10, 2))
    groups = proven(net)
    keep = {"a": torch.arange(4) < 1, "b": torch.arange(6) < 4}
    assert surgery.shrink(net, groups, keep).norm.num_features == 5


def test_the_scan_narrows_such_a_norm_without_a_warning():
    def forward(m, x):
        y = m.a(x)
        return m.fc(pooled(m.norm(torch.cat([y, m.b(y)], 1))))

    net = Net(forward, a=conv(3, 4), b=conv(4, 6), norm=nn.InstanceNorm2d(10), fc=head(10))
    net, x = ready(net), batch(3, 8, 8)
    seen = flow(net, x)
    program = Program(net, seen, x)
    keep = torch.tensor([True, False, True, True])
    sweep = Sweep("a", program.replay("a"), {0.25: keep})
    with torch.inference_mode():
        _, values = forward_whole(program, x, [sweep])
        ((_, logits),) = points(program, sweep, values)
        assert torch.allclose(logits, surgery.shrink(net, seen.groups, {"a": keep})(x))


def test_groups_without_such_norms_are_written_as_before():
    groups = trace(ready(nn.Sequential(conv(3, 6), conv(6, 2))), batch(3, 8, 8))
    assert "widths" not in groups.to_json()


def test_a_table_writes_its_columns():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.last = nn.Embedding(10, 6), head(6)

        def forward(self, words):
            return self.last(self.table(words).mean(1))

    net, words = ready(Words()), torch.arange(8).reshape(2, 4)
    groups = trace(net, words)
    keep = {"table": torch.tensor([True, False] * 3)}
    small = surgery.shrink(net, groups, keep)
    assert small.table.embedding_dim == 3
    assert torch.allclose(small(words), surgery.masked(net, groups, keep)(words))


def test_max_unpooling_takes_the_positions_along():
    def forward(m, x):
        y = m.a(x)
        pooled_, found = F.max_pool2d(y, 2, return_indices=True)
        return m.b(F.max_unpool2d(pooled_, found, 2))

    assert proven(Net(forward, a=conv(3, 6), b=conv(6, 2)))["a"].size == 6


@pytest.mark.parametrize("name", [n for n in dir(nn) if n.startswith("Lazy")])
def test_a_lazy_layer_is_to_run_once_first(name):
    lazy = getattr(nn, name)
    layer = lazy() if "Norm" in name else lazy(4) if name == "LazyLinear" else lazy(4, 1)
    with pytest.raises(ValueError, match=f"`0` is a {name} .* run the network once") as caught:
        trace(nn.Sequential(layer), batch(3, 4, 4).float())
    assert "\n" not in str(caught.value)

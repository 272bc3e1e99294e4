"""What multiplies channels, one entry or one map for each: scales, slopes, attention."""

import pytest
import torch
from helpers.networks import Net, conv, head, places, proven
from torch import nn


@pytest.mark.parametrize("layer", [nn.PReLU(6), nn.InstanceNorm2d(6, affine=True)])
def test_a_layer_with_one_entry_per_channel_goes_along(layer):
    groups = proven(nn.Sequential(conv(3, 6), layer, conv(6, 2)))
    assert ("1.weight", 0, 1, 0) in places(groups["0"])


def test_a_prelu_with_one_slope_is_left_alone():
    groups = proven(nn.Sequential(conv(3, 6), nn.PReLU(), conv(6, 2)))
    assert "1.weight" not in {s.tensor for s in groups["0"].slices}


@pytest.mark.parametrize(
    ("shape", "use"),
    [
        ((6, 1, 1), lambda g: g),
        ((1, 6, 1, 1), lambda g: g),
        ((6,), lambda g: g[:, None, None]),
        ((6,), lambda g: g.view(1, -1, 1, 1)),
        ((6,), lambda g: g.unsqueeze(1).unsqueeze(2)),
        ((6, 8, 8), lambda g: g),
    ],
)
def test_a_layer_scale_goes_along(shape, use):
    net = Net(
        lambda m, x: m.b(use(m.gamma) * m.a(x)),
        a=conv(3, 6),
        gamma=nn.Parameter(torch.ones(shape)),
        b=conv(6, 2),
    )
    assert "gamma" in {s.tensor for s in proven(net)["a"].slices}


def test_a_parameter_over_pixels_ties_no_channel():
    net = Net(
        lambda m, x: m.b(m.a(x) + m.place),
        a=conv(3, 6),
        place=nn.Parameter(torch.ones(8, 8)),
        b=conv(6, 2),
    )
    assert proven(net)["a"].size == 6


def test_spatial_attention_does_not_tie_the_channels_it_multiplies():
    net = Net(
        lambda m, x: m.b(m.a(x) * torch.sigmoid(m.where(x))),
        a=conv(3, 6),
        where=conv(3, 1),
        b=conv(6, 2),
    )
    groups = proven(net)
    assert groups["a"].size == 6
    assert groups.fixed["where"] == "it is a single unit"


def test_attention_over_tokens_does_not_tie_the_features():
    def forward(m, x):
        x = m.a(x.flatten(2).transpose(1, 2))
        return m.b((x * torch.sigmoid(m.where(x))).mean(1))

    net = Net(forward, a=nn.Linear(3, 6), where=nn.Linear(6, 1), b=head(6))
    assert proven(net)["a"].size == 6

"""What trace couples, claim by claim."""

import pytest
import torch
import torchvision
from helpers.networks import Net, conv, head, places, pooled, proven
from torch import nn
from torch.nn import functional as F

from prunelab.groups import Groups, trace
from prunelab.models import build


def test_a_group_lists_filters_bias_batch_norm_and_the_reader():
    net = nn.Sequential(conv(3, 6), nn.BatchNorm2d(6), nn.ReLU(), conv(6, 4))
    groups = proven(net)
    assert list(groups) == ["0"]
    assert groups["0"].size == 6
    assert places(groups["0"]) == {
        ("0.weight", 0, 1, 0),
        ("0.bias", 0, 1, 0),
        ("1.weight", 0, 1, 0),
        ("1.bias", 0, 1, 0),
        ("1.running_mean", 0, 1, 0),
        ("1.running_var", 0, 1, 0),
        ("3.weight", 1, 1, 0),
    }
    assert groups.fixed == {"3": "it is the network's output"}
    assert groups["0"].producers == ("0",)
    assert groups["0"].consumers == ("3",)


def test_a_residual_stream_is_one_group():
    def forward(m, x):
        x = m.stem(x)
        x = x + m.b(F.relu(m.a(x)))
        x += m.d(torch.relu_(m.c(x)))
        return m.fc(pooled(x))

    net = Net(
        forward, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 8), c=conv(8, 5), d=conv(5, 8), fc=head(8)
    )
    groups = proven(net)
    assert list(groups) == ["stem", "a", "c"]
    assert groups["stem"].producers == ("stem", "b", "d")
    assert groups["stem"].consumers == ("a", "c", "fc")
    assert groups.writers == {"stem", "b", "d"}
    assert list(groups.first_convolutions()) == ["a", "c"]


def bottleneck_blocks(name):
    """What a reader of torchvision's source would list, and the projections."""
    net = getattr(torchvision.models, name)(weights=None)
    firsts, projections = [], []
    for layer, module in net.named_modules():
        if type(module).__name__ in ("BasicBlock", "Bottleneck"):
            firsts.append(f"{layer}.conv1")
            projections += [f"{layer}.downsample.0"] if module.downsample is not None else []
    return net, firsts, projections


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_the_roles_of_residual_layers(name):
    net, firsts, projections = bottleneck_blocks(name)
    groups = trace(net, torch.zeros(1, 3, 64, 64))
    assert list(groups.first_convolutions()) == firsts
    assert groups.shortcuts == set(projections)
    again = Groups.from_json(groups.to_json())
    assert list(again.first_convolutions()) == firsts


def test_squeeze_and_excitation_is_no_projection_and_the_head_no_block():
    groups = trace(torchvision.models.efficientnet_b0(weights=None), torch.zeros(1, 3, 64, 64))
    assert not groups.shortcuts
    expanding = [
        f"features.{s}.{b}.block.0.0"
        for s, n in ((2, 2), (3, 2), (4, 3), (5, 3), (6, 4))
        for b in range(n)
    ]
    # 2.0 reads what no addition meets, and stage 7 has one block: nothing is added after it.
    assert list(groups.first_convolutions()) == expanding[1:]


def test_a_projection_in_the_first_stage_makes_no_first_convolution_of_the_stem():
    def forward(m, x):
        x = m.stem(x)
        x = m.b(F.relu(m.a(x))) + m.down(x)
        return m.fc(pooled(x))

    net = Net(forward, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 4), down=conv(8, 4), fc=head(4))
    groups = proven(net)
    assert list(groups.first_convolutions()) == ["a"] and groups.shortcuts == {"down"}


def test_a_concatenation_gives_offsets():
    def forward(m, x):
        a, b = m.a(x), m.b(x)
        return m.fc(pooled(m.c(torch.cat([a, x, b], 1))))

    net = Net(forward, a=conv(3, 4), b=conv(3, 6), c=conv(13, 5), fc=head(5))
    groups = proven(net)
    assert ("c.weight", 1, 1, 0) in places(groups["a"])
    assert ("c.weight", 1, 1, 7) in places(groups["b"])


@pytest.mark.parametrize(
    "flat",
    [
        lambda x: x.flatten(1),
        lambda x: torch.flatten(x, 1),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.reshape(x.shape[0], -1),
        lambda x: x.view(-1, x.shape[1] * x.shape[2] * x.shape[3]),
        nn.Flatten(),
    ],
)
def test_a_flatten_gives_one_repeat_per_pixel(flat):
    net = Net(lambda m, x: m.fc(m.flat(m.a(x))), a=conv(3, 5), flat=flat, fc=head(5, 64))
    assert ("fc.weight", 1, 64, 0) in places(proven(net)["a"])


def test_batch_norm_after_a_flatten_repeats_too():
    net = nn.Sequential(conv(3, 5), nn.Flatten(), nn.BatchNorm1d(320), head(320))
    assert ("2.weight", 0, 64, 0) in places(proven(net)["0"])


def test_a_grouped_convolution_is_pruned_by_whole_groups():
    net = nn.Sequential(
        conv(3, 12), nn.BatchNorm2d(12), conv(12, 8, groups=4), nn.ReLU(), conv(8, 2)
    )
    groups = proven(net)
    assert list(groups) == ["0"]
    assert groups["0"].size == 4
    assert {s.tensor: s.repeat for s in groups["0"].slices if s.role != "through"} == {
        "0.weight": 3,
        "0.bias": 3,
        "4.weight": 2,
    }


def test_a_depthwise_convolution_passes_channels_on():
    net = nn.Sequential(conv(3, 6), conv(6, 6, groups=6), nn.Hardswish(), conv(6, 2))
    groups = proven(net)
    assert list(groups) == ["0"]
    assert ("1.weight", 0, 1, 0) in places(groups["0"])


def test_a_depthwise_multiplier_repeats():
    net = nn.Sequential(conv(3, 6), conv(6, 12, groups=6), conv(12, 2))
    assert ("2.weight", 1, 2, 0) in places(proven(net)["0"])


@pytest.mark.parametrize("expand", [lambda s, x: s, lambda s, x: s.expand_as(x)])
def test_squeeze_and_excitation_couples_its_scale_to_the_channels(expand):
    def forward(m, x):
        x = m.a(x)
        s = torch.sigmoid(m.up(F.relu(m.down(F.adaptive_avg_pool2d(x, 1)))))
        return m.b(x * expand(s, x))

    net = Net(forward, a=conv(3, 8), down=nn.Conv2d(8, 4, 1), up=nn.Conv2d(4, 8, 1), b=conv(8, 2))
    groups = proven(net)
    assert groups["a"].producers == ("a", "up")
    assert groups["down"].size == 4


@pytest.mark.parametrize(
    "gate",
    [
        lambda x: (lambda parts: parts[0] * parts[1])(x.chunk(2, 1)),
        lambda x: x.chunk(2, dim=1)[0] * torch.sigmoid(x.chunk(2, dim=1)[1]),
        lambda x: (lambda parts: parts[0] * parts[1])(x.split(x.shape[1] // 2, 1)),
        lambda x: F.glu(x, 1),
    ],
)
def test_a_gated_linear_unit_couples_its_halves(gate):
    def forward(m, x):
        return m.b(gate(m.a(x)))

    groups = proven(Net(forward, a=conv(3, 12), b=conv(6, 2)))
    assert groups["a"].size == 6
    assert {("a.weight", 0, 1, 0), ("a.weight", 0, 1, 6)} <= places(groups["a"])


def test_a_zero_padded_shortcut_leaves_the_first_stream_free_and_fixes_the_padding():
    net = build("resnet-20").double()
    groups = proven(net, 3, 32, 32)
    stream = groups["conv1"]
    assert stream.size == 16
    assert 8 in {s.offset for s in stream.slices}
    assert any("adds constant channels" in why for why in groups.fixed.values())


def test_a_module_used_twice_has_one_set_of_channels():
    def forward(m, x):
        return m.c(m.b(m.b(m.a(x))))

    groups = proven(Net(forward, a=conv(3, 6), b=conv(6, 6), c=conv(6, 2)))
    assert list(groups) == ["a"]
    assert groups["a"].producers == ("a", "b")


def test_a_shared_weight_is_named_once():
    a, b, c = conv(3, 6), conv(6, 6), conv(6, 6)
    c.weight = b.weight
    groups = proven(nn.Sequential(a, b, c, conv(6, 2)))
    assert list(groups) == ["0"]
    assert {"1.weight", "2.bias"} <= {s.tensor for s in groups["0"].slices}


def test_functional_layers_are_followed():
    def forward(m, x):
        x = F.batch_norm(F.conv2d(x, m.w, m.b, padding=1), m.running_mean, m.running_var)
        return F.linear(pooled(F.relu(x)), m.v)

    net = Net(forward, w=nn.Parameter(torch.ones(6, 3, 3, 3)), b=nn.Parameter(torch.ones(6)))
    net.v = nn.Parameter(torch.ones(2, 6))
    net.register_buffer("running_mean", torch.zeros(6))
    net.register_buffer("running_var", torch.ones(6), persistent=False)
    groups = proven(net)
    assert places(groups["w"]) == {
        (n, 0, 1, 0) for n in ("w", "b", "running_mean", "running_var")
    } | {("v", 1, 1, 0)}


def test_a_transposed_convolution_writes_its_second_axis():
    net = nn.Sequential(
        conv(3, 6), nn.Upsample(scale_factor=2), nn.ConvTranspose2d(6, 5, 2, 2), conv(5, 2)
    )
    groups = proven(net)
    assert ("2.weight", 0, 1, 0) in places(groups["0"])
    assert ("2.weight", 1, 1, 0) in places(groups["2"])


def test_a_subclass_of_conv2d_is_followed_inside():
    class Mine(nn.Conv2d):
        pass

    groups = proven(nn.Sequential(Mine(3, 6, 3), Mine(6, 6, 3, groups=3), Mine(6, 2, 1)))
    assert groups["0"].size == 3

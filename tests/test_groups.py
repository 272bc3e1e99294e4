import json

import pytest
import torch
from pruning import batch, difference, outputs, random_keep, ready
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torchvision.models import googlenet

from prunelab.groups import Group, Groups, Slice, trace
from prunelab.models import build

IMAGE = (3, 8, 8)


class Net(nn.Module):
    """Layers by keyword; `forward` is given as a function of (self, x)."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward_function = forward

    def forward(self, x):
        return self._forward_function(self, x)


def conv(i, o, **options):
    return nn.Conv2d(i, o, 3, padding=1, **options)


def head(features, pixels=1):
    return nn.Linear(features * pixels, 4)


def pooled(x):
    return x.mean([2, 3])


def proven(net, *shape):
    """The groups of `net`, after masked = shrunk has been seen on a random keep."""
    net, x = ready(net), batch(*(shape or IMAGE))
    groups = trace(net, x)
    full, masked, small = outputs(net, groups, random_keep(groups), x)
    assert difference(small, masked) < 1e-9
    if groups:
        assert difference(small, full) > 1e-6
    return groups


def places(group):
    return {(s.tensor, s.axis, s.repeat, s.offset) for s in group.slices}


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


class Reasons:
    """(network, layer) pairs whose layer is refused, with a part of the reason."""

    wide = conv(3, 8)

    @staticmethod
    def around(function, **layers):
        return Net(lambda m, x: m.b(function(m, m.a(x))), a=conv(3, 8), b=conv(8, 2), **layers)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Reasons.around(lambda m, x: m.n(x), n=nn.GroupNorm(4, 8)), "GroupNorm"),
        (Reasons.around(lambda m, x: m.n(x), n=nn.LocalResponseNorm(3)), "LocalResponseNorm"),
        (Reasons.around(lambda m, x: m.n(x), n=nn.LayerNorm([8, 8, 8])), "LayerNorm"),
        (Reasons.around(lambda m, x: x.softmax(1)), "softmax"),
        (Reasons.around(lambda m, x: x - x.mean(1, keepdim=True)), "across channels"),
        (Reasons.around(lambda m, x: x / (1 + x.norm(2, dim=1, keepdim=True))), "across channels"),
        (Reasons.around(lambda m, x: x.roll(1, 1)), "`roll` at `roll` is not an operation"),
        (Reasons.around(lambda m, x: x[:, [1, 0, 2, 3, 4, 5, 6, 7]]), "a list of positions"),
        (Reasons.around(lambda m, x: x.narrow(1, 0, 8)), "a fixed part"),
        (Reasons.around(lambda m, x: torch.cat(x.split([3, 5], 1), 1)), "a fixed part"),
        (Reasons.around(lambda m, x: x * x.shape[1] ** -0.5), "the number of its channels"),
        (Reasons.around(lambda m, x: x / x.abs()), "divides by its channels"),
        (Reasons.around(lambda m, x: (2 + x.sigmoid()) ** -1), "not a positive number"),
        (Reasons.around(lambda m, x: x.view(-1, 8, 64).view(-1, 8, 8, 8)), "constant size 8"),
        (Reasons.around(lambda m, x: x.view(-1, 2, 4, 8, 8).flatten(1, 2)), "a shuffle"),
        (Reasons.around(lambda m, x: x + torch.zeros(8, 1, 1)), "meets it"),
        (
            Reasons.around(
                lambda m, x: F.max_pool1d(x.mean(3).transpose(1, 2), 3, 1, 1).transpose(1, 2)[
                    ..., None
                ]
            ),
            "mixes its channels",
        ),
        (
            Reasons.around(lambda m, x: F.pad(x, (0, 0, 0, 0, 0, 8 - x.shape[1]))),
            "pads or cuts",
        ),
        (
            Reasons.around(
                lambda m, x: F.conv2d(x, m.w, groups=2), w=nn.Parameter(torch.ones(8, 4, 1, 1))
            ),
            "constant number of groups 2",
        ),
    ],
)
def test_what_cannot_be_pruned_is_fixed_with_the_reason(net, reason):
    groups = proven(net)
    assert "a" not in groups
    assert reason in groups.fixed["a"] or reason in str(groups.fixed.values())
    with pytest.raises(ValueError, match="`a` cannot be pruned: "):
        groups["a"]


def test_a_view_with_a_constant_size_is_fixed_and_the_error_says_what_to_write():
    net = Net(lambda m, x: m.fc(m.a(x).view(-1, 320)), a=conv(3, 5), fc=head(320))
    assert proven(net).fixed["a"] == "`view` has the constant size 320 (try flatten(1))"


def test_squeeze_without_an_axis_is_fixed():
    net = Net(lambda m, x: m.fc(m.a(x).mean([2, 3], True).squeeze()), a=conv(3, 5), fc=head(5))
    assert "names no axis" in proven(net).fixed["a"]


@pytest.mark.parametrize(
    "wrap",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        pytest.param(
            nn.utils.weight_norm,
            marks=pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning"),
        ),
    ],
)
def test_a_computed_weight_fixes_the_layer_and_what_it_reads(wrap):
    groups = trace(
        nn.Sequential(conv(3, 6), wrap(conv(6, 5)), conv(5, 4), conv(4, 2)), batch(*IMAGE).float()
    )
    assert list(groups) == ["2"]
    assert "parametrisation" in groups.fixed["1"]


def test_a_layer_that_prunelab_does_not_know_is_named():
    net = Net(
        lambda m, x: m.fc(m.mix(*[m.a(x).flatten(2).transpose(1, 2)] * 3)[0].mean(1)),
        a=conv(3, 8),
        mix=nn.MultiheadAttention(8, 2, batch_first=True),
        fc=head(8),
    )
    groups = trace(net, torch.zeros(1, *IMAGE))
    assert "`MultiheadAttention` at `mix` is not an operation" in groups.fixed["mix"]
    assert "a" in groups.fixed


def test_the_auxiliary_heads_of_training_are_followed():
    net = googlenet(aux_logits=True, init_weights=False)
    groups = trace(net, torch.zeros(1, 3, 64, 64))
    assert "aux1.conv.conv" in groups
    assert "aux1.conv.conv" in groups["inception4a.branch1.conv"].consumers


def test_trace_leaves_the_network_as_it_was():
    net = build("resnet-20")
    net.layer1.train(False) if hasattr(net, "layer1") else None
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    trace(net, torch.zeros(1, 3, 32, 32))
    after = net.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert modes == [m.training for m in net.modules()]
    assert calls == []


def test_only_the_shape_and_the_type_of_the_example_matter():
    net = ready(nn.Sequential(conv(3, 6), conv(6, 2)))
    nan = torch.full((5, *IMAGE), float("nan"), dtype=torch.float64)
    assert str(trace(net, nan)) == str(trace(net, batch(*IMAGE)))


def test_groups_survive_json():
    groups = proven(build("resnet-20"), 3, 32, 32)
    again = Groups.from_json(groups.to_json())
    assert dict(again) == dict(groups)
    assert again.fixed == groups.fixed
    assert (again.writers, again.shortcuts) == (groups.writers, groups.shortcuts)
    assert json.loads(groups.to_json())["groups"][0]["name"] == next(iter(groups))


def test_groups_print_as_a_table():
    group = Group("a", 5, (Slice("a.weight", 0, role="out"), Slice("fc.weight", 1, 64, 0, "in")))
    assert str(Groups([group], {"b": "it is the network's output"})).splitlines() == [
        "a: 5 channels, 2 slices",
        "  a.weight   axis 0  repeat 1   offset 0     out",
        "  fc.weight  axis 1  repeat 64  offset 0     in",
        "fixed:",
        "  b: it is the network's output",
    ]


def test_select_keeps_the_order_and_refuses_unknown_names():
    groups = proven(build("lenet-5"), 1, 28, 28)
    assert list(groups.select(["fc1", "conv1"])) == ["conv1", "fc1"]
    with pytest.raises(ValueError, match="no group `conv9`; groups are conv1, conv2, fc1"):
        groups.select(["conv9"])


def two_inputs():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    return Two()


def branching():
    return Net(lambda m, x: m.a(x) if x.sum() > 0 else x, a=conv(3, 3))


@pytest.mark.parametrize(
    ("net", "example", "error", "words"),
    [
        (two_inputs(), torch.zeros(1, 3, 8, 8), ValueError, "takes 2 inputs or more"),
        (branching(), torch.zeros(1, 3, 8, 8), ValueError, "torch.fx cannot follow `net`"),
        (conv(3, 4), torch.zeros(1, 5, 8, 8), ValueError, r"`example` of shape \(N, 5, 8, 8\)"),
        (conv(3, 4), torch.zeros(3), ValueError, r"must be a batch \(N, ...\), got shape \(3,\)"),
        (conv(3, 4), [1, 2], TypeError, "`example` must be a tensor, got list"),
        ("resnet", torch.zeros(1, 3, 8, 8), TypeError, "`net` must be a torch.nn.Module, got str"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_wrong(net, example, error, words):
    with pytest.raises(error, match=words) as caught:
        trace(net, example)
    assert "\n" not in str(caught.value)

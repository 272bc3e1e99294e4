"""What trace refuses and why; what it leaves alone; how groups print and travel."""

import json

import pytest
import torch
from helpers.networks import IMAGE, Net, conv, head, proven
from helpers.pruning import batch, ready
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torchvision.models import googlenet

from prunelab.groups import Group, Groups, Slice, trace
from prunelab.models import build


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
        (Reasons.around(lambda m, x: x.roll(1, 1)), "works across channels"),
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
    said = proven(net).fixed["a"]
    assert said.startswith("`view` has the constant size 320 (try flatten(1)) (test_groups_refusal")


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
        (two_inputs(), torch.zeros(1, 3, 8, 8), ValueError, "missing a required argument: 'y'"),
        (
            branching(),
            torch.zeros(1, 3, 8, 8),
            ValueError,
            "cannot follow .* by the values of",
        ),
        (conv(3, 4), torch.zeros(1, 5, 8, 8), ValueError, r"`example` of shape \(N, 5, 8, 8\)"),
        (conv(3, 4), torch.zeros(3), ValueError, r"must be a batch \(N, ...\), got shape \(3,\)"),
        (conv(3, 4), [1, 2], TypeError, "`example` must be a tensor, .* got list"),
        ("resnet", torch.zeros(1, 3, 8, 8), TypeError, "`net` must be a torch.nn.Module, got str"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_wrong(net, example, error, words):
    with pytest.raises(error, match=words) as caught:
        trace(net, example)
    assert "\n" not in str(caught.value)

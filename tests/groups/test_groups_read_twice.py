"""A tensor of the network that is read a second time: followed, or its channels stay."""

import pytest
import torch
from helpers.networks import Net, agreed, conv, head
from helpers.pruning import batch
from torch import nn
from torch.nn import functional as F


def ones(*shape):
    return nn.Parameter(torch.ones(*shape))


class Encoder(nn.Module):
    """Two linear layers, and something that is done with their tensors again."""

    def __init__(self, again):
        super().__init__()
        self.e1, self.e2, self.again = nn.Linear(9, 7), nn.Linear(7, 5), again
        self.b = ones(7)

    def forward(self, x):
        return self.again(self, F.relu(self.e2(F.relu(self.e1(x)))))


AGAIN = {
    "t": (lambda m, h: F.linear(h, m.e2.weight.t(), m.b), "`e2.weight`", "linear"),
    "T": (lambda m, h: F.linear(h, m.e2.weight.T), "`e2.weight`", "linear"),
    "sliced": (lambda m, h: F.linear(h, m.e2.weight[:, :5]), "`e2.weight`", "x[...]"),
    "@": (lambda m, h: h @ m.e2.weight, "`e2.weight`", "matmul"),
    "einsum": (lambda m, h: torch.einsum("bi,ij->bj", h, m.e2.weight), "`e2.weight`", "einsum"),
    "addmm": (lambda m, h: torch.addmm(m.b, h, m.e2.weight), "`e2.weight`", "addmm"),
    "getattr": (lambda m, h: h @ getattr(m, "e2").weight, "`e2.weight`", "matmul"),  # noqa: B009
    "_parameters": (lambda m, h: h @ m.e2._parameters["weight"], "`e2.weight`", "matmul"),
    "named_parameters": (
        lambda m, h: h @ dict(m.named_parameters())["e2.weight"],
        "`e2.weight`",
        "matmul",
    ),
    "normalize": (
        lambda m, h: F.linear(F.normalize(h), F.normalize(m.e2.weight.t())),
        "`e2.weight`",
        "normalize",
    ),
    "penalty": (lambda m, h: (h, m.e1.weight.abs().mean()), "`e1.weight`", "abs"),
    "all": (lambda m, h: (h, sum(p.square().sum() for p in m.parameters())), "`e1.", "square"),
    "data": (lambda m, h: h * m.e1.weight.data.mean(), "`e1.weight`", "mean"),
    "detach": (lambda m, h: h * m.e1.weight.detach().mean(), "`e1.weight`", "mean"),
    "stack": (lambda m, h: h * torch.stack([m.e1.bias, m.b]).mean(), "`e1.bias`", "stack"),
    "cat": (lambda m, h: (h, torch.cat([m.e1.bias, m.b])), "`e1.bias`", "cat"),
    "state": (lambda m, h: h * m.state_dict()["e1.weight"].mean(), "`e1.weight`", "mean"),
    "given back": (lambda m, h: (h, m.e1.bias[None]), "`e1.bias`", "output"),
    "shape": (lambda m, h: h * m.e1.weight.shape[0], "number of its channels", ""),
    "len": (lambda m, h: h * len(m.e1.weight), "number of its channels", ""),
    "numel": (lambda m, h: h * m.e1.weight.numel(), "number of its channels", ""),
    "in place": (lambda m, h: (m.e1.weight.data.mul_(2 * torch.ones(7, 9)), h)[1], "`e1.", "mul_"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_a_weight_that_is_read_again_stays_and_the_reason_names_it_and_the_operation(name):
    again, tensor, operation = AGAIN[name]
    groups = agreed(Encoder(again), batch(9))
    assert "e1" not in groups
    assert tensor in groups.fixed["e1"] and operation in groups.fixed["e1"]
    assert "test_groups_read_twice.py:" in groups.fixed["e1"] or "output" in groups.fixed["e1"]


def test_without_that_the_layer_is_offered():
    assert agreed(Encoder(lambda m, h: h), batch(9))["e1"].size == 7


def normed(again, n=8):
    return Net(
        lambda m, x: again(m, m.bn(m.a(x))), a=conv(3, n), bn=nn.BatchNorm2d(n), b=conv(n, 2)
    )


@pytest.mark.parametrize("tensor", ["weight", "bias", "running_mean", "running_var"])
def test_what_a_norm_holds_can_be_read_again_channel_by_channel(tensor):
    net = normed(lambda m, x: m.b(x * getattr(m.bn, tensor).view(1, -1, 1, 1)))
    assert agreed(net)["a"].size == 8


@pytest.mark.parametrize("tensor", ["weight", "bias", "running_mean", "running_var"])
def test_a_sum_over_what_a_norm_holds_fixes_the_channels(tensor):
    groups = agreed(normed(lambda m, x: m.b(x) * getattr(m.bn, tensor).sum()))
    assert f"`bn.{tensor}` is read by `sum`" in groups.fixed["a"]


def test_one_scale_in_two_places_ties_both():
    net = normed(lambda m, x: m.d(m.c(x) * m.bn.weight[:, None, None]))
    net.c, net.d = conv(8, 8), conv(8, 2)
    groups = agreed(net)
    assert list(groups) == ["a"] and groups["a"].producers == ("a", "c")


def scaled(use, **more):
    net = Net(lambda m, x: m.b(use(m, m.a(x))), a=conv(3, 8), b=conv(8, 2), **more)
    net.register_buffer("s", torch.ones(8))
    net.plain, net.listed = torch.ones(8).double(), [ones(8, 1, 1).double()]
    return net


FOLLOWED = {
    "expand": lambda m, x: x * m.s[None, :, None, None].expand(x.size(0), -1, -1, -1),
    "repeat": lambda m, x: x * m.s[None, :, None, None].repeat(x.size(0), 1, 1, 1),
    "t": lambda m, x: (x.transpose(1, 3) * m.s[:, None].t()).transpose(1, 3),
    "detach": lambda m, x: x * m.s.detach().to(x.dtype).view(-1, 1, 1),
    "assigned": lambda m, x: (setattr(m, "s", m.s.to(x.device)), x * m.s.view(-1, 1, 1))[1],
    "list": lambda m, x: x * m.ps[0],
    "dict": lambda m, x: x * m.pd["k"],
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_buffer_or_parameter_that_is_moved_before_use_goes_along(name):
    more = {"ps": nn.ParameterList([ones(8, 1, 1)]), "pd": nn.ParameterDict({"k": ones(8, 1, 1)})}
    assert agreed(scaled(FOLLOWED[name], **more))["a"].size == 8


FIXED = {
    "constant size": lambda m, x: x * m.s.view(1, 8, 1, 1),
    "expand_as": lambda m, x: x * m.s[None, :, None, None].expand_as(x),
    "positions": lambda m, x: x * m.s[torch.arange(8)].view(-1, 1, 1),
    "arithmetic": lambda m, x: x * (m.s + 1).sqrt().view(-1, 1, 1),
    "attribute": lambda m, x: x * m.plain.view(-1, 1, 1),
    "in a list": lambda m, x: x * m.listed[0],
}


@pytest.mark.parametrize("name", FIXED)
def test_what_is_computed_from_a_tensor_fixes_the_channels_that_meet_it(name):
    assert "a" in agreed(scaled(FIXED[name])).fixed


def test_class_and_position_tokens_go_with_the_features():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.cls, self.pos = nn.Conv2d(3, 6, 4, 4), ones(1, 1, 6), ones(1, 9, 6)
            self.f1, self.f2, self.fc = nn.Linear(6, 7), nn.Linear(7, 6), head(6)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls.expand(x.size(0), -1, -1), x], 1)
            x = x + self.pos[:, : x.size(1)]
            return self.fc((x + self.f2(F.gelu(self.f1(x))))[:, 0])

    groups = agreed(Tokens())
    assert {"cls", "pos", "f2.weight"} <= {s.tensor for s in groups["patch"].slices}
    assert groups["f1"].size == 7


def test_coordinates_beside_channels_leave_both_sides_free():
    def forward(m, x):
        y = m.a(x)
        return m.c(m.b(torch.cat([y, m.xy.expand(y.size(0), -1, -1, -1)], 1)))

    net = Net(forward, a=conv(3, 6), b=conv(8, 5), c=conv(5, 2))
    net.register_buffer("xy", torch.rand(1, 2, 8, 8))
    assert list(agreed(net)) == ["a", "b"]


def test_a_table_that_also_reads_out_fixes_the_features():
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.mid, self.out = nn.Embedding(11, 6), nn.Linear(6, 6), nn.Linear(6, 11)
            self.out.weight = self.table.weight

        def forward(self, x):
            return self.out(self.mid(self.table(x)))

    assert "mid" not in agreed(Language(), torch.randint(0, 11, (2, 5)))


def test_functions_with_a_weight_of_their_own_are_priced_like_layers():
    def forward(m, x):
        x = F.relu(F.conv2d(x, m.w, m.c.bias, padding=1))
        return F.linear(F.relu(F.conv2d(x, m.v)).mean((2, 3)), m.u)

    net = Net(forward, w=ones(6, 3, 3, 3), v=ones(5, 6, 1, 1), u=ones(4, 5), c=conv(3, 6))
    assert set(agreed(net)) == {"w", "v"}

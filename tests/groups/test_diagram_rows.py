"""Which operations have a row in a diagram, on small networks."""

import torch
from helpers.diagrams import drawn, kinds, of
from helpers.networks import Net, conv, head, pooled
from torch import nn
from torch.nn.functional import conv2d


def test_channels_are_counted_where_a_grouped_convolution_ties_several():
    net = Net(
        lambda s, x: s.end(pooled(s.mid(s.start(x)))),
        start=conv(3, 8),
        mid=conv(8, 8, groups=2),
        end=head(8),
    )
    assert [row["channels"] for row in drawn(net)[1:3]] == [{"start": 8}, {"start": 8}]


def test_what_is_joined_with_itself_has_a_row():
    net = Net(
        lambda s, x: s.end(pooled(torch.cat([s.start(x)] * 2, 1))), start=conv(3, 6), end=head(12)
    )
    joined = drawn(net)[2]
    assert (joined["kind"], joined["inputs"], joined["out"]) == ("cat", ["start"], [12, 8, 8])


def test_a_layer_that_runs_twice_has_two_rows():
    net = Net(
        lambda s, x: s.end(pooled(s.again(s.again(s.start(x))))),
        start=conv(3, 6),
        again=conv(6, 6),
        end=head(6),
    )
    rows = drawn(net)
    assert [row["name"] for row in rows[1:4]] == ["start", "again", "again (2)"]
    assert of(rows, "again (2)")["inputs"] == ["again"]
    assert of(rows, "again (2)")["writes"] == of(rows, "again")["writes"]


def test_a_layer_keeps_its_name_where_an_operation_is_called_the_same():
    net = Net(
        lambda s, x: s.output(pooled(s.add(x) + s.input(x))),
        add=conv(3, 6),
        input=conv(3, 6),
        output=head(6),
    )
    rows = drawn(net)
    assert {row["name"] for row in rows if row["kind"] in ("conv", "linear")} == {
        "add",
        "input",
        "output",
    }
    assert [row["name"] for row in rows if row["kind"] in ("input", "output")] == [
        "input (2)",
        "output (2)",
    ]
    (addition,) = [row for row in rows if row["kind"] == "add"]
    assert addition["inputs"] == ["add", "input"]


def test_a_convolution_by_function_has_a_row():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(6, 3, 3, 3))
            self.end = head(6)

        def forward(self, x):
            return self.end(pooled(conv2d(x, self.kernel)))

    rows = drawn(Functional())
    assert kinds(rows) == ["input", "conv", "linear", "output"]
    assert rows[1]["writes"] == "kernel"
    assert rows[1]["out"] == [6, 6, 6]
    assert rows[2]["reads"] == ["kernel"]


def test_what_meets_itself_or_a_constant_has_no_row():
    def forward(self, x):
        x = self.start(x)
        x = x * x.sigmoid() + torch.ones(1)
        return self.end(pooled(x.add(x.mean((2, 3), keepdim=True))))

    rows = drawn(Net(forward, start=conv(3, 6), end=head(6)))
    assert kinds(rows) == ["input", "conv", "linear", "output"]


def test_operands_that_meet_by_method_or_in_place_have_rows():
    def forward(self, x):
        x = self.a(x)
        y = self.b(x).mul_(x)
        y += x
        return self.end(pooled(torch.concat([x, y], dim=1) - self.c(x)))

    rows = drawn(Net(forward, a=conv(3, 6), b=conv(6, 6), c=conv(6, 12), end=head(12)))
    assert kinds(rows)[3:-2] == ["multiply", "add", "cat", "conv", "add"]

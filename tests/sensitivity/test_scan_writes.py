"""Networks that write in place: the scan gives the shrunk network's answers, or says why not."""

import pytest
import torch
from helpers.networks import Net, conv
from helpers.plain_loop import differences
from helpers.pruning import fill
from torch import nn
from torch.nn import functional as F


def network(body):
    def forward(net, x):
        y = net.c1(F.relu(net.c0(x)))
        return net.fc(net.c2(body(net, y)).mean((2, 3)))

    net = Net(forward, c0=conv(1, 6), c1=conv(6, 8), c2=conv(8, 6), mid=conv(8, 8),
              fc=nn.Linear(6, 3), relu=nn.ReLU(inplace=True))  # fmt: skip
    net.register_buffer("n", torch.ones(()))
    return fill(net)


def statement(text):
    """A body that runs `text` on y, z (computed from y) and s (the network), and gives `give`."""

    def body(s, y):
        place = {"torch": torch, "F": F, "y": y, "z": s.mid(y), "s": s, "give": y}
        exec(text, place)
        return place.get("give")

    return body


RIGHT = """
    torch.relu_(y)
    F.relu(y, True)
    F.relu(y, inplace=True)
    F.leaky_relu(y, 0.1, True)
    F.hardtanh_(y)
    s.relu(y)
    y.clamp_(-0.1, 0.1)
    y.add_(1); torch.relu_(y); y.mul_(z)
    y.add_(z); give = y * z
    y.detach().relu_()
    y.contiguous().relu_()
    y.copy_(z)
    y.fill_(2.0); give = y + z
    y.masked_fill_(y > 0.3, 0.0)
    torch.add(y, z, out=y)
    torch.clamp(y, 0, 1, out=y)
    a, b = y.chunk(2, 1); a.relu_(); give = torch.cat([b, a], 1)
    p = y.chunk(2, 1); p[0].relu_(); give = torch.cat([p[1], p[0]], 1)
    s.n.add_(1)
    y += z; give = torch.relu(y)
""".strip().split("\n")
REFUSED = {
    "a = y; a += 1": "writes in place",
    "a = y; a *= torch.sigmoid(z)": "writes in place",
    "y.flatten(2).relu_()": "`relu_`",
    "y.view(y.size(0), y.size(1), -1).add_(1.0)": "`add_`",
    "y[:, :2].mul_(0)": "`mul_`",
    "y[:, :, 1:3].mul_(0)": "`mul_`",
    "v = y.flatten(2); y.relu_(); give = y * v.mean(2)[:, :, None, None]": "`relu_`",
    "a, b = y.chunk(2, 1); a.relu_()": "`relu_`",
    "y.transpose_(2, 3)": "`transpose_`",
    "s.mid.weight.mul_(0.5); give = s.mid(y)": "`mul_`",
}


@pytest.mark.parametrize("text", [line.strip() for line in RIGHT])
def test_a_write_counts_for_whatever_reads_the_memory_later(text):
    rows = list(differences(network(statement(text))))
    assert rows
    assert max(rows) < 1e-9


@pytest.mark.parametrize("text", REFUSED)
def test_a_write_that_no_value_can_stand_for_is_refused_by_name(text):
    with pytest.raises(ValueError, match=rf"scan: .*{REFUSED[text]}") as caught:
        list(differences(network(statement(text))))
    assert "\n" not in str(caught.value)


def test_a_counter_that_is_read_is_refused():
    with pytest.raises(ValueError, match=r"scan: `net`.*`?add_"):
        list(differences(network(statement("s.n.add_(1); give = y * s.n"))))


def test_values_that_are_kept_for_the_next_point_are_not_written_over():
    """`y += z` where y is CLEAN and z is pruned: every point starts from the same y."""
    net = network(statement("y += z; give = y"))
    assert max(differences(net, ratios=(0.2, 0.4, 0.6, 0.8))) < 1e-9

"""The explorer's quick copy: as fast as the network allows, and never another network."""

import pytest
import torch
from helpers.networks import Net, conv, pooled
from helpers.pruning import fill
from helpers.toy import split
from torch import nn

from prunelab import scores, surgery
from prunelab.groups import flow
from prunelab.sensitivity.scanning.folding import folded
from prunelab.sensitivity.scanning.trial import quickest
from prunelab.train import evaluate
from prunelab.widgets.exploring.live import Live


def flattening(net, x):
    y = torch.relu(net.b(net.a(x)))
    return net.fc(y.view(x.size(0), -1))


def averaging(net, x):
    y = net.b(net.a(x))
    net.relu(y)
    return net.fc(pooled(y))


def over_positions(net, x):
    return net.fc(net.n(net.l(torch.relu(net.a(x)).flatten(2))).mean(2))


def parts(pixels=1):
    return {"a": conv(1, 6), "b": nn.BatchNorm2d(6), "relu": nn.ReLU(inplace=True),
            "fc": nn.Linear(6 * pixels, 3)}  # fmt: skip


NETS = {
    "view": (lambda: Net(flattening, **parts(64)), {"a": "b"}, torch.contiguous_format),
    "mean": (lambda: Net(averaging, **parts()), {"a": "b"}, torch.channels_last),
    "positions": (
        lambda: Net(over_positions, a=conv(1, 6), l=nn.Linear(64, 6), n=nn.BatchNorm1d(6),
                    fc=nn.Linear(6, 3)),
        {}, torch.contiguous_format,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_the_quickest_form_that_gives_the_networks_own_logits(name):
    make, norms, memory = NETS[name]
    net, (x, _) = fill(make()).eval(), split(4).batch(slice(0, 4))
    form = quickest(net, flow(net, x).graph, x)
    assert form == (norms, memory)
    torch.testing.assert_close(folded(net, *form)(x), net(x))


@pytest.mark.parametrize("name", ["view", "mean"])
def test_the_explorer_answers_as_the_shrunk_network(name):
    net, images = fill(NETS[name][0]()).eval(), split(60)
    live = Live(net, images)
    *_, answer = live.answers({"a": 0.5}, lambda: False)
    keep = {"a": scores.best(live.order["a"], 3)}
    small = surgery.shrink(net, live.groups, keep)
    assert answer.accuracy == pytest.approx(evaluate(small, images).accuracy)
    assert answer.whole == pytest.approx(evaluate(net, images).accuracy)

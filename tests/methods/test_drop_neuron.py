"""DropNeuron: what its proximal steps and its rule promise."""

import pytest
import torch
from torch import nn

from prunelab import data, models, surgery, train
from prunelab.groups import trace
from prunelab.methods import DropNeuron
from prunelab.methods.drop_neuron import Neurons

DIGITS = data.load("digits")
BUDGET = train.Budget(epochs=8, lr=0.05, batch=64, weight_decay=0.0, schedule="linear")


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def method(incoming=0.0, outgoing=0.0, **more):
    return DropNeuron(BUDGET, incoming, outgoing, **more)


def test_a_proximal_step_solves_its_own_problem():
    """argmin_v |v - w|^2 / 2 + rate lambda |v|, found by descent, neuron by neuron."""
    net = mlp()
    before = torch.cat([net[0].weight, net[0].bias[:, None]], 1).detach().clone()
    Neurons(net, torch.zeros(1, 6), method(incoming=4.0)).shrink(0.1)
    after = torch.cat([net[0].weight, net[0].bias[:, None]], 1).detach()
    for w, found in zip(before, after):
        v = w.clone().requires_grad_()
        optimizer = torch.optim.Adam([v], 0.01)
        for _ in range(1500):
            optimizer.zero_grad()
            ((v - w).square().sum() / 2 + 0.4 * v.norm()).backward()
            optimizer.step()
        torch.testing.assert_close(found, v.detach(), atol=0.02, rtol=0)


@pytest.mark.parametrize("side", ["incoming", "outgoing"])
def test_a_neuron_without_one_side_goes_and_the_shrunk_network_is_the_same(side):
    net, x = mlp(), torch.randn(9, 6)
    with torch.no_grad():
        if side == "incoming":
            net[0].weight[2], net[0].bias[2] = 0, 0
        else:
            net[2].weight[:, 2] = 0
    neurons = Neurons(net, x, method())
    keep = neurons.drop()
    assert keep["0"].tolist() == [True, True, False, True, True]
    small = surgery.shrink(net, trace(net, x), keep)
    torch.testing.assert_close(small(x), net(x))
    assert small[0].out_features == 4


def test_training_drops_neurons_keeps_accuracy_and_shrinks_exactly():
    torch.manual_seed(0)
    net = models.build("lenet-300-100")
    keep = method(0.08, 0.08, inputs=("fc1",)).prune(net, DIGITS, progress=False)
    small = surgery.shrink(net, trace(net, DIGITS.example), keep)
    assert keep["fc1"].sum() < 0.8 * len(keep["fc1"])
    assert train.evaluate(small, DIGITS.test).accuracy > 0.9
    torch.testing.assert_close(small(DIGITS.example), net(DIGITS.example), atol=1e-4, rtol=1e-4)


def test_what_a_layer_reads_goes_with_the_channel_that_wrote_it():
    net = models.build("lenet-5-relu")
    with torch.no_grad():
        net.conv2.weight[3], net.conv2.bias[3] = 0, 0
    neurons = Neurons(net, DIGITS.example, method(inputs=("fc1",)))
    keep = neurons.drop()
    gone = (~keep["fc1.inputs"]).nonzero()[:, 0].tolist()
    assert (~keep["conv2"]).nonzero()[:, 0].tolist() == [3]
    assert gone == list(range(3 * 16, 4 * 16))


def test_without_penalties_nothing_goes():
    net = mlp()
    assert Neurons(net, torch.zeros(1, 6), method()).kept()["0"].all()


def test_a_layer_without_neurons_stops_the_run_or_keeps_one():
    with pytest.raises(RuntimeError, match=r"none of the \d+ units of `fc"):
        method(500.0).prune(models.build("lenet-300-100"), DIGITS, progress=False)
    net = models.build("lenet-300-100")
    keep = method(500.0, dead="keep one").prune(net, DIGITS, progress=False)
    assert min(int(kept.sum()) for kept in keep.values()) >= 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"incoming": -1.0}, "`incoming` must be a number >= 0; got -1.0"),
        ({"outgoing": float("nan")}, "`outgoing` must be a number >= 0; got nan"),
        ({"l1": "much"}, "`l1` must be a number >= 0; got 'much'"),
        ({"dead": "perhaps"}, "`dead` must be one of stop, keep one; got 'perhaps'"),
    ],
)
def test_bad_fields_are_named(fields, words):
    with pytest.raises(ValueError, match=words):
        method(**fields)


def test_inputs_that_are_no_layer_are_named():
    with pytest.raises(ValueError, match=r"`inputs` names 'nose'; it must be one of 0, 2"):
        Neurons(mlp(), torch.zeros(1, 6), method(inputs=("nose",)))

"""Price: the polynomial equals the cost of the really shrunk network."""

import json

import pytest
import torch
import torchvision
from helpers.pruning import random_keep
from torch import nn

from prunelab import cost, surgery
from prunelab.groups import trace
from prunelab.models import build
from prunelab.sensitivity.budget.price import Price, price

OURS = {"lenet-300-100": (1, 28), "lenet-5": (1, 28), "vgg-16": (3, 32), "resnet-20": (3, 32)}
TORCHVISION = {
    "densenet121": 64,
    "mobilenet_v2": 64,
    "googlenet": 64,
    "shufflenet_v2_x1_0": 64,
    "resnext50_32x4d": 64,
}


def network(name):
    if name in OURS:
        channels, size = OURS[name]
        return build(name), torch.zeros(1, channels, size, size)
    options = {"init_weights": False} if name == "googlenet" else {}
    net = torchvision.models.get_model(name, **options)
    return net.eval(), torch.zeros(1, 3, TORCHVISION[name], TORCHVISION[name])


def polynomial():
    """Two layers by hand: 3 inputs, `a` of 4, `b` of 5, with biases; 10 positions of `b`."""
    sizes = {"a": 4, "b": 5}
    params = {("a",): 3 + 1, ("b",): 1, ("a", "b"): 1}
    return Price(sizes, params, {("a",): 30, ("a", "b"): 10, (): 7})


@pytest.mark.parametrize("name", [*OURS, *TORCHVISION])
def test_it_equals_the_cost_of_the_shrunk_network(name):
    net, x = network(name)
    groups = trace(net, x)
    found = price(net, x, groups)
    whole = cost.measure(net, x)
    assert found() == (whole.params, whole.macs)
    keep = random_keep(groups, 0.4, 3)
    small = cost.measure(surgery.shrink(net, groups, keep), x)
    assert found({n: int(k.sum()) for n, k in keep.items()}) == (small.params, small.macs)
    assert small.macs < whole.macs


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20"])
def test_groups_that_are_not_named_stay_whole(name):
    net, x = network(name)
    groups = trace(net, x)
    found = price(net, x, groups)
    for group in groups.values():
        keep = torch.zeros(group.size, dtype=torch.bool)
        keep[:1] = True
        small = cost.measure(surgery.shrink(net, groups, {group.name: keep}), x)
        assert found({group.name: 1}) == (small.params, small.macs)


def test_a_choice_of_groups_has_a_price_of_its_own():
    net, x = network("resnet-20")
    groups = trace(net, x)
    some = price(net, x, groups.first_convolutions())
    assert list(some.sizes) == list(groups.first_convolutions())
    kept = dict.fromkeys(some.sizes, 3)
    assert some(kept) == price(net, x, groups)(kept)
    assert not [names for names in some.macs if len(set(names)) == 2]  # they do not meet


def test_the_terms_of_a_small_network_are_those_of_a_hand_count():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    x = torch.zeros(1, 2, 8, 8)
    found = price(net, x, trace(net, x))
    assert found.sizes == {"0": 4}
    assert found.params == {("0",): 2 * 9 + 1 + 36 * 5, (): 5}
    assert found.macs == {(): 0, ("0",): 36 * 2 * 9 + 36 * 5}


def test_a_layer_that_runs_twice_costs_its_macs_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            x = torch.relu(self.second(torch.relu(self.first(x))))
            return self.out(torch.relu(self.second(x)))

    net, x = Twice(), torch.zeros(1, 6)
    groups = trace(net, x)
    found = price(net, x, groups)
    keep = random_keep(groups)
    small = cost.measure(surgery.shrink(net, groups, keep), x)
    assert found({n: int(k.sum()) for n, k in keep.items()}) == (small.params, small.macs)
    assert found()[1] == 6 * 8 + 2 * 8 * 8 + 8 * 3


def test_a_value_worked_by_hand():
    found = polynomial()
    assert found() == (4 * 4 + 5 + 4 * 5, 30 * 4 + 10 * 4 * 5 + 7)
    assert found({"a": 2}) == (4 * 2 + 5 + 2 * 5, 30 * 2 + 10 * 2 * 5 + 7)
    assert found({"a": 1, "b": 3}) == (4 + 3 + 3, 30 + 30 + 7)


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20"])
def test_it_survives_json(name):
    net, x = network(name)
    found = price(net, x, trace(net, x))
    assert Price.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"c": 1}, "price: no group `c`; groups are a, b"),
        ({"a": 0}, "price: `a` must keep 1 to 4 channels, got 0"),
        ({"a": 5}, "price: `a` must keep 1 to 4 channels, got 5"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_line(kept, message):
    with pytest.raises(ValueError, match=message):
        polynomial()(kept)

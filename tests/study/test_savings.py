"""What is counted in a network with zeros, and what is measured on it."""

import json

import pytest
import torch
from helpers.sparse_nets import small, thin
from torch import nn

from prunelab import cost, data
from prunelab.methods import Magnitude, NetworkSurgery
from prunelab.models import build
from prunelab.study.savings import Savings, crossover, kernels, products, sizes, times
from prunelab.study.work import Work
from prunelab.train import Budget


def test_nonzeros_counts_weights_and_biases_by_layer():
    net = small(bias=False)
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(1.0)
        net[0].weight[0] = 0.0
        net[4].weight[0, :2] = -0.0
        net[4].bias[1] = 0.0
    assert cost.nonzeros(net) == {"0": (72, 84), "3": (140, 140), "4": (15, 18)}


def test_nonzeros_counts_what_a_method_kept():
    net = build("lenet-300-100")
    keep = Magnitude(ratios=0.9).prune(net, None, progress=False)
    with torch.no_grad():
        for bias in (net.fc1.bias, net.fc2.bias, net.fc3.bias):
            assert not bias.any()  # Xavier's zeros: the only kept entries that could be zero
    kept = {n: int(keep[f"{n}.weight"].sum() + keep[f"{n}.bias"].sum()) for n in cost.nonzeros(net)}
    assert {n: k for n, (k, _) in cost.nonzeros(net).items()} == kept
    assert sum(size for _, size in cost.nonzeros(net).values()) == 266_610


@pytest.mark.parametrize("batch", [64, 1])
def test_the_timed_products_are_the_same_product(batch):
    matrix = thin(nn.Linear(40, 30), 0.1).weight.detach()
    dense, by_torch, by_scipy = (product() for product in kernels(matrix, batch).values())
    torch.testing.assert_close(by_torch, dense)
    torch.testing.assert_close(torch.from_numpy(by_scipy), dense)
    assert dense.shape == (30, batch)


def test_timing_gives_the_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert all(seconds > 0 for seconds in times(torch.ones(3, 4), 2, 2).values())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


BUDGET = Budget(epochs=0.2, lr=0.05, batch=64)


@pytest.mark.parametrize(
    "method", [NetworkSurgery(c=0.5, budget=BUDGET, stop=3), Magnitude(ratios=0.98)]
)
def test_savings_on_digits(method):
    net = build("lenet-5")
    values = Savings(method, calls=2).run(net, data.load("digits"), Work())
    json.dumps(values, allow_nan=False)
    counts = cost.nonzeros(net)
    assert 0 <= values["accuracy"] <= 1
    assert (values["kept"], values["size"]) == tuple(map(sum, zip(*counts.values())))
    assert values["size"] == 431_080 > values["kept"] > 0
    assert values["bytes"] == sizes(net)
    rows = values["products"]
    assert [(r["layer"], r["batch"]) for r in rows] == [(n, b) for n in counts for b in (64, 1)]
    shapes = [(20, 25), (50, 500), (500, 800), (10, 500)]
    assert [(r["rows"], r["columns"]) for r in rows[::2]] == shapes
    for row in rows:
        weight = net.get_submodule(row["layer"]).weight
        assert (row["kept"], row["size"]) == (int(weight.count_nonzero()), weight.numel())
        assert row["kind"] == type(net.get_submodule(row["layer"])).__name__
        assert all(row[kernel] > 0 for kernel in ("dense", "torch_csr", "scipy_csr"))


def test_products_of_a_network_without_layers_are_none():
    assert products(nn.Sequential(nn.ReLU()), 1) == []


def test_crossover_measures_each_density():
    found = crossover(20, 30, [0.001, 0.1, 1.0], batch=4, calls=2)
    assert [(r["density"], r["kept"]) for r in found] == [(0.001, 1), (0.1, 60), (1.0, 600)]
    for row in found:
        for kernel in ("torch_csr", "scipy_csr"):
            assert row[f"{kernel}_ratio"] == row[kernel] / row["dense"] > 0

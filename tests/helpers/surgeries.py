"""What the tests of network surgery share: a small trained network, a run, all that it shows."""

import math

import torch
from helpers.toy import dataset, quiet
from torch import nn

from prunelab.methods import NetworkSurgery
from prunelab.train import Budget

DATA = dataset()  # 45 images
EPOCH = Budget(epochs=3, lr=0.1, batch=8, weight_decay=0.02)  # 6 steps an epoch
LAYERS = {"0": ("weight", "bias"), "3": ("weight",), "5": ("weight", "bias")}
NAMES = [f"{name}.{key}" for name, keys in LAYERS.items() for key in keys]


def net_of(seed=1):
    """A convolution, a linear layer without bias, a linear layer; trained a little."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 8, bias=False), nn.ReLU(),
        nn.Linear(8, 3),
    )  # fmt: skip
    quiet(net, DATA, Budget(epochs=1, batch=8, lr=0.05))
    return net


def surgery(c=0.3, budget=EPOCH, stop=18, gamma=0.0, **options):
    return NetworkSurgery(c, budget, stop, gamma, **options)


class Seen:
    """All that `watch` is shown, copied: steps, masks, dense weights, thresholds."""

    def __init__(self):
        self.steps, self.kept, self.dense, self.limits, self.due = [], [], [], [], []

    def __call__(self, done, state):
        layers = state.layers.items()
        self.steps.append(done)
        self.kept.append({f"{n}.{k}": m.kept.bool() for n, v in layers for k, m in v.masks.items()})
        self.dense.append({f"{n}.{k}": p.detach().clone() for n, v in layers
                           for k, p in v.dense.items()})  # fmt: skip
        marks = {n: v.masks["weight"] for n, v in layers}
        self.limits.append({n: (float(m.low), float(m.high)) for n, m in marks.items()})
        self.due.append(state.due)


def run(method, net=None, data=DATA, **options):
    """(network, what `run` returns, what `watch` saw)"""
    net, seen = net or net_of(), Seen()
    return net, method.run(net, data, progress=False, watch=seen, **options), seen


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def limits(net, layer, c, margins=(0.9, 1.1)):
    """a_k and b_k by the formula, in Python's numbers."""
    tensors = [p for key, p in net.get_submodule(layer).named_parameters()]
    found = [abs(v) for p in tensors for v in p.flatten().tolist() if v != 0]
    mean = sum(found) / len(found)
    spread = math.sqrt(sum(v * v for v in found) / len(found) - mean * mean)
    return tuple(margin * max(mean + c * spread, 0) for margin in margins)

"""What the tests of gates share: gates whose factors are known, networks, what could be left."""

from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from helpers.networks import Net, conv, head

from prunelab import surgery
from prunelab.groups import trace
from prunelab.methods.gating.gated_method import GatedMethod
from prunelab.methods.gating.gates import Gate, Gated

IMAGE = (3, 8, 8)
PAPERS = {
    "lenet-300-100": (1, 28, 28), "lenet-5": (1, 28, 28), "vgg-16": IMAGE, "vgg-19": IMAGE,
    "resnet-20": IMAGE, "preresnet-56": IMAGE, "lenet-300-100-bn": (1, 28, 28),
}  # fmt: skip


def small(forward, **layers):
    """A convolution `a` of 3 to 6 channels, whatever is named, and a linear layer `last`."""
    return Net(forward, **({"a": conv(3, 6), "last": head(6)} | layers))


class Known(Gate):
    """Positive means, two of three units kept, draws of both signs, noted in `drawn`."""

    def __init__(self, place, rate=1.0):
        g = torch.Generator().manual_seed(place.size)
        super().__init__(place, rate, mu=torch.rand(place.size, generator=g) + 0.5)
        self.register_buffer("mask", torch.arange(place.size) % 3 != 1, persistent=False)

    def sample(self, n):
        self.drawn = torch.randn(n, len(self.mu))
        return self.mean() * self.drawn

    def mean(self):
        return self.value("mu")

    def margin(self):
        return self.mask * 2.0 - 1

    def penalty(self):
        return self.mean().square().sum()


class One(Known):
    """A factor of exactly 1."""

    def __init__(self, place, rate=1.0):
        super().__init__(place, rate)
        torch.nn.init.ones_(self.mu)
        self.mask = torch.ones(place.size, dtype=torch.bool)

    def sample(self, n):
        return self.mean().expand(n, -1)


class Stop(BaseException):
    """As Ctrl-C, which is no Exception."""


class Breaking(Known):
    """Breaks in the seventh step."""

    steps = 0

    def sample(self, n):
        self.steps += 1
        if self.steps == 7:
            raise Stop
        return super().sample(n)


@dataclass(frozen=True)
class KnownMethod(GatedMethod):
    """The frame with known gates."""

    def gate(self, place):
        return Known(place, self.rate)

    def strength(self, images):
        return 0.01


def gated(net, x, make=Known, inputs=()):
    return Gated(net, x, SimpleNamespace(gate=make, inputs=inputs))


def factors(network, draws=True):
    """Place name -> the factors of the last draw (n, size), or the means where a unit is kept."""
    gates = network.gates.items()
    if draws:
        return {name: (g.mean() * g.drawn).detach().double() for name, g in gates}
    return {name: g.factor().detach().double()[None] for name, g in gates}


def check_shrunk(net, keep, data):
    """A pruned LeNet-300-100 computes what its shrunk and its masked form do, in float64."""
    net, x = deepcopy(net).double(), data.test.batch(slice(0, 100))[0].double()
    groups = trace(net, x)
    expected = surgery.shrink(net, groups, keep)(x)
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(surgery.masked(net, groups, keep)(x), expected, rtol=0, atol=1e-9)
    left = surgery.shrink(net, groups, keep).fc1.weight.shape
    assert left == (int(keep["fc1"].sum()), int(keep["fc1.inputs"].sum()))

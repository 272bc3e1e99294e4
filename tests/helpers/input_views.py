"""Networks of which layers pick what they read, entry by entry."""

from functools import cache

import torch
from helpers.networks import Net, conv
from helpers.pruning import batch, ready
from torch import nn
from torch.nn import functional as F

from prunelab.groups import trace
from prunelab.models import build


def poolings():
    """Max and average pooling, then 3 x 3 pixels a channel in a row."""
    return Net(
        lambda s, x: s.last(F.avg_pool2d(s.b(F.max_pool2d(F.relu(s.a(x)), 2)), 2).flatten(1)),
        a=conv(2, 5),
        b=conv(5, 4, bias=False),
        last=nn.Linear(36, 3),
    )


NETS = {
    "lenet-300-100": (lambda: build("lenet-300-100"), (1, 28, 28)),
    "lenet-5": (lambda: build("lenet-5"), (1, 28, 28)),
    "poolings": (poolings, (2, 12, 12)),
    "resnet-20": (lambda: build("resnet-20"), (3, 8, 8)),
    "preresnet-56": (lambda: build("preresnet-56"), (3, 8, 8)),
}


@cache
def traced(name):
    """A network, an input and its groups; nobody changes them."""
    maker, shape = NETS[name]
    net, x = ready(maker()), batch(*shape)
    return net, x, trace(net, x)


def bools(*values):
    return torch.tensor(values, dtype=torch.bool)


def drawn(size, share, generator):
    """A random set of about `share`, with at least one kept."""
    kept = torch.rand(size, generator=generator) < share
    kept[torch.randint(size, (1,), generator=generator)] = True
    return kept

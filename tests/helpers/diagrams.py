"""Rows of the networks that the tests of diagrams and pictures share."""

from functools import cache

import torch
from torchvision import models as tv

from prunelab.groups import trace
from prunelab.groups.diagram import diagram
from prunelab.models import build

OURS = {
    "lenet-300-100": (1, 28),
    "lenet-5": (1, 28),
    "vgg-16": (3, 32),
    "resnet-20": (3, 32),
    "resnet-56": (3, 32),
    "preresnet-56": (3, 32),
}
THEIRS = """
    resnet18 densenet121 mobilenet_v2 googlenet squeezenet1_0 shufflenet_v2_x1_0 efficientnet_b0
""".split()
ALL = [*OURS, *THEIRS]


@cache
def traced(name):
    """A network without numbers (torchvision's), an example and the groups."""
    if name in OURS:
        channels, pixels = OURS[name]
        net, x = build(name, in_channels=channels), torch.zeros(1, channels, pixels, pixels)
    else:
        options = {"init_weights": False} if name == "googlenet" else {}
        with torch.device("meta"):
            net, x = tv.get_model(name, weights=None, **options), torch.zeros(1, 3, 224, 224)
    return net, x, trace(net, x)


@cache
def rows_of(name):
    return diagram(*traced(name))


def kinds(rows):
    return [row["kind"] for row in rows]


def of(rows, name):
    return next(row for row in rows if row["name"] == name)


def drawn(net, *shape):
    x = torch.zeros(1, *(shape or (3, 8, 8)))
    return diagram(net, x, trace(net, x))

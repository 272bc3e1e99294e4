"""Small networks for the tests of groups, and the proof that their groups hold."""

from pruning import batch, difference, outputs, random_keep, ready
from torch import nn

from prunelab.groups import trace

IMAGE = (3, 8, 8)


class Net(nn.Module):
    """Layers by keyword; `forward` is given as a function of (self, x)."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward_function = forward

    def forward(self, x):
        return self._forward_function(self, x)


def conv(i, o, **options):
    return nn.Conv2d(i, o, 3, padding=1, **options)


def head(features, pixels=1):
    return nn.Linear(features * pixels, 4)


def pooled(x):
    return x.mean([2, 3])


def proven(net, *shape):
    """The groups of `net`, after masked = shrunk has been seen on a random keep."""
    net, x = ready(net), batch(*(shape or IMAGE))
    groups = trace(net, x)
    full, masked, small = outputs(net, groups, random_keep(groups), x)
    assert difference(small, masked) < 1e-9
    if groups:
        assert difference(small, full) > 1e-6
    return groups


def places(group):
    return {(s.tensor, s.axis, s.repeat, s.offset) for s in group.slices}

"""Small networks for the tests of groups, and the proof that their groups hold."""

import torch
from helpers.pruning import batch, difference, outputs, random_keep, ready
from torch import nn
from torch.utils import _pytree as pytree

from prunelab import cost, meta, surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.sensitivity.budget.price import price

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


def agreed(net, example=None):
    """The groups of `net`, after masked, shrunk, counted and priced networks have been compared.

    `example` as `trace` takes it.
    """
    net, example = ready(net), batch(*IMAGE) if example is None else example
    groups = trace(net, example)
    priced = price(net, example, groups)
    args, kwargs = meta.inputs(example, "test")
    for seed in (1, 2):
        keep = random_keep(groups, seed=seed)
        small, masked = surgery.shrink(net, groups, keep), surgery.masked(net, groups, keep)
        with torch.inference_mode():
            outs = [pytree.tree_leaves(n(*args, **kwargs)) for n in (small, masked)]
        for a, b in zip(*outs, strict=True):
            a, b = torch.as_tensor(a), torch.as_tensor(b)
            assert a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9)
        counted = cost.measure(small, example)
        assert priced(Keep(keep).widths()) == (counted.params, counted.macs)
        assert counted.params == sum(p.numel() for p in small.parameters())
    return groups

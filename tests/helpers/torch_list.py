"""Networks around one operation of torch, and the proof that what is offered for them holds."""

import warnings

import torch
from helpers.pruning import fill, random_keep
from torch import nn
from torch.utils import _pytree as pytree

from prunelab import surgery
from prunelab.groups import trace

CHANNELS = 8
FIRST = {  # layout -> (layer that writes the channels, shape of one input)
    "image": (lambda: nn.Conv2d(2, CHANNELS, 1), (2, 6, 6)),
    "signal": (lambda: nn.Conv1d(2, CHANNELS, 1), (2, 9)),
    "volume": (lambda: nn.Conv3d(2, CHANNELS, 1), (2, 4, 4, 4)),
    "vector": (lambda: nn.Linear(3, CHANNELS), (3,)),
    "tokens": (lambda: nn.Linear(3, CHANNELS), (9, 3)),
}


class Around(nn.Module):
    """first -> operation -> last, where the operation gives something that `last` can read."""

    def __init__(self, layout, operation, module=None):
        super().__init__()
        self.first, self.module, self._operation = FIRST[layout][0](), module, operation
        self.last, self._at = None, None
        with torch.no_grad():
            out = self.double().eval()(example(layout))
        self._at = next((i for i, o in enumerate(_leaves(out)) if o.ndim), None)
        self._several = not isinstance(out, torch.Tensor)
        chosen = None if self._at is None else _leaves(out)[self._at]
        if chosen is not None and chosen.ndim > 1 and len(chosen) == 2:
            self.last = nn.Linear(chosen[0].numel(), 3).double()

    def forward(self, x):
        x = self.first(x)
        out = self._operation(self, x) if self.module is None else self._operation(self.module, x)
        if self.last is None:
            return out
        out = out[self._at] if self._several else out
        return self.last(out.flatten(1).to(torch.float64))


def _leaves(out):
    return list(out) if isinstance(out, tuple | list) else [out]


def example(layout):
    g = torch.Generator().manual_seed(1)
    return torch.randn(2, *FIRST[layout][1], dtype=torch.float64, generator=g)


def around(layout, operation, module=None):
    """The network, or None where torch refuses such an input, draws numbers or gives no number."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            net = fill(Around(layout, operation, module)).eval()
            torch.manual_seed(0)
            # a random function, such as dropout of whole images, may well give the same twice
            once, *others = (pytree.tree_leaves(net(example(layout))) for _ in range(8))
    except Exception:  # whatever torch raises
        return None
    # not equal where it is NaN
    same = all(torch.equal(a, b) and a.numel() for more in others for a, b in zip(once, more))
    return net if same else None


def held(net, x, twice=True, close=1e-9):
    """The groups of `net`, and why what `first` writes is not offered.

    Masked = shrunk has been seen on them, and (`twice`) once more on the shrunk network.
    """
    try:
        groups = trace(net, x)
    except ValueError as error:
        assert "\n" not in str(error)
        return {}, str(error)
    if groups:
        small = _compared(net, groups, x, close)
        if twice:
            again = trace(small, x)
            assert set(again) <= set(groups)
            _compared(small, again, x, close)
    return groups, None if "first" in groups else groups.fixed["first"]


def _compared(net, groups, x, close):
    """The shrunk network, which gives what the masked one gives, and warns no more than it does."""
    keep = random_keep(groups)
    small = surgery.shrink(net, groups, keep)
    shrunk, masked = _run(small, x), _run(surgery.masked(net, groups, keep), x)
    assert shrunk[1] == masked[1]
    for a, b in zip(shrunk[0], masked[0], strict=True):
        torch.testing.assert_close(a, b, rtol=close, atol=close / 10)
    return small


def _run(net, x):
    with warnings.catch_warnings(record=True) as found, torch.inference_mode():
        warnings.simplefilter("always")
        out = net(x)
    return pytree.tree_leaves(out), [str(w.message) for w in found]

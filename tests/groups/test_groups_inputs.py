"""Networks as people have them: arguments, wrappers, kept activations; and what is refused."""

import collections
import re

import pytest
import torch
from helpers.networks import IMAGE, Net, agreed, conv
from helpers.pruning import batch, difference, random_keep, ready
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from prunelab import cost, meta, surgery
from prunelab.groups import trace
from prunelab.sensitivity.budget.price import price


class Optional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv(3, 8), conv(8, 2), conv(3, 8)

    def forward(self, x, other=None, *, scale=1.0, mask=None):
        y = self.a(x) * scale
        y = y if other is None else y + self.c(other)
        return {"logits": self.b(y if mask is None else y * mask), "scale": scale}


X, MASK = batch(*IMAGE), torch.ones(2, 1, 8, 8).double()


@pytest.mark.parametrize(
    ("example", "producers"),
    [
        (X, ("a",)),
        ((X,), ("a",)),
        ((X, None), ("a",)),
        ((X, X), ("a", "c")),
        ({"x": X}, ("a",)),
        ({"other": X, "x": X}, ("a", "c")),
        ({"x": X, "mask": MASK, "scale": 2.0}, ("a",)),
    ],
)
def test_an_example_is_a_tensor_a_tuple_or_a_dict(example, producers):
    groups = agreed(Optional(), example)
    assert groups["a"].producers == producers
    seconds = cost.latency(Optional().double(), example, calls=2, warmup=0)
    assert seconds.batch == 2 and seconds.median > 0


@pytest.mark.parametrize(
    ("forward", "example"),
    [
        (lambda m, xs: m.b(m.a(xs[0]) + m.a(xs[1])), ([X, X],)),
        (lambda m, xs: m.b(m.a(xs["image"])), ({"image": X},)),
        (lambda m, *xs: m.b(sum(m.a(x) for x in xs)), (X, X, X)),
        (lambda m, x, t: m.b(m.a(x) + m.e(t[:, None])[:, :, None, None]), (X, X[:, 0, 0, 0])),
    ],
)
def test_arguments_in_lists_and_dicts_and_numbers_per_sample(forward, example):
    class Many(Optional):
        def __init__(self):
            super().__init__()
            self.e = nn.Linear(1, 8)

    Many.forward = forward
    assert agreed(Many(), example)["a"].size == 8


class Compiled(nn.Module):
    """As torch.compile wraps a network, without compiling it."""

    def __init__(self, net):
        super().__init__()
        self._orig_mod = net

    def forward(self, *args):
        return self._orig_mod(*args)


WRAPPERS = [nn.DataParallel, AveragedModel, Compiled, lambda net: nn.DataParallel(Compiled(net))]


@pytest.mark.parametrize("wrap", WRAPPERS)
@torch.no_grad()
def test_wrappers_are_looked_through(wrap):
    inner = ready(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 2)))
    net = wrap(inner)
    groups, keep = trace(net, X), {"0": torch.arange(8) < 3}
    assert str(groups) == str(trace(inner, X))
    small = surgery.shrink(net, groups, keep)
    assert type(small) is nn.Sequential and small[0].out_channels == 3
    assert difference(small(X), surgery.masked(net, groups, keep)(X)) < 1e-12
    assert cost.measure(net, X) == cost.measure(inner, X)
    assert cost.nonzeros(net) == cost.nonzeros(inner)
    assert price(net, X, groups) == price(inner, X, groups)
    assert surgery.cuts(net, groups, keep).keys() == {"0.weight", "0.bias", "2.weight"}
    surgery.masker(net, groups, keep)()
    assert difference(net(X), small(X)) < 1e-12


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapped_parts_are_followed_inside(wrap):
    net = Net(lambda m, x: m.b(m.part(x)), part=wrap(conv(3, 8)), b=conv(8, 2))
    (group,) = agreed(net).values()
    assert group.size == 8 and group.name.startswith("part.")


class Notes:
    def __init__(self):
        self.value = None
        self.seen = []

    def hook(self, module, inputs, out):
        self.value = (inputs, [out])

    def __call__(self, module, inputs, out):
        self.seen.append(out)


class Keeping(nn.Module):
    """A network that keeps what it computes in every way there is."""

    def __init__(self):
        super().__init__()
        self.a, self.b = conv(3, 8), conv(8, 2)
        self.cache, self.features, self.notes = {}, [], Notes()
        self.recent, self.some = collections.deque(maxlen=2), set()
        self.outside = []
        self.a.register_forward_hook(self.notes)
        self.a.register_forward_hook(self.notes.hook)
        self.b.register_forward_hook(lambda m, i, o: self.outside.append(o))

    def forward(self, x):
        y = self.cache["y"] = self.last = self.a(x)
        self.features.append(y)
        self.recent.append((y,))
        self.some.add(y)
        self.notes.value = y
        return self.b(self.cache["y"])


def test_activations_that_a_network_keeps_are_no_obstacle():
    net = ready(Keeping())
    net(X)
    kept = net.features[0]
    assert kept.grad_fn is not None
    groups = trace(net, X)
    assert groups["a"].size == 8 and net.features == [kept] and len(net.outside) == 1
    before, keep = cost.measure(net, X), random_keep(groups)
    small, masked = surgery.shrink(net, groups, keep), surgery.masked(net, groups, keep)
    assert difference(small(X).detach(), masked(X).detach()) < 1e-12
    assert cost.measure(small, X).params < before.params
    assert {t.device.type for t in meta.twin(net).features} == {"meta"}
    again = surgery.rebuild(net, lambda name, tensor: tensor)
    assert torch.equal(again.features[0], kept) and again.features[0] is not kept


def line(net, example):
    """What trace, cost and latency say, in one line each."""
    with pytest.raises((TypeError, ValueError)) as caught:
        trace(net, example)
    assert "\n" not in str(caught.value) and "Proxy" not in str(caught.value)
    assert "symbolic" not in str(caught.value) and "torch.fx" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda m, x: x if x.mean() > 0 else -x, "by the values of an activation"),
        (lambda m, x: x * x.mean().item(), "`item` .* needs the values of an activation"),
        (lambda m, x: x + x[x > 0].sum(), "needs the values of an activation"),
        (lambda m, x: x + x.nonzero().sum(), "`nonzero` .* needs the values"),
        (lambda m, x: x * x.tolist()[0], "needs the values"),
        (lambda m, x: x * x.numpy().mean(), "needs the values"),
        (lambda m, x: (x.__setitem__(0, 0), x)[1], "writes into a part of a tensor"),
        (lambda m, x: (setattr(m.a.weight, "data", m.a.weight * 2), x)[1], r"assigns to `.data`"),
        (lambda m, x: x if m.a.weight.mean() > 0 else -x, "by the values of `gt"),
        (lambda m, x: m.hidden[0](x), "a Conv2d that is no submodule"),
        (lambda m, x: x.view(2, 9), "does not fit `net` .Net. at `view`"),
        (lambda m, x: x.nothing(), "no attribute 'nothing'"),
        (lambda m, x: 1 / 0, "division by zero"),
    ],
)
def test_what_cannot_be_followed_is_said_with_the_line_of_the_networks_code(use, words):
    net = Net(lambda m, x: m.b(use(m, m.a(x))), a=conv(3, 8), b=conv(8, 2), hidden=[conv(8, 8)])
    said = line(net, X.float())
    assert said.startswith("trace: ")
    assert "test_groups_inputs.py:" in said
    assert re.search(words, said), said


class Standardised(nn.Conv2d):
    """A convolution with standardised weights, as in ResNets without norms."""

    def forward(self, x):
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


def test_a_weight_that_is_standardised_is_named_by_its_module():
    net = nn.Sequential(conv(3, 6), Standardised(6, 8, 3), conv(8, 5), conv(5, 2))
    groups = agreed(net)
    assert list(groups) == ["2"]
    assert "the weight or bias of `conv2d` is computed (in `1`, " in groups.fixed["1"]


def test_padding_to_the_same_size_is_followed():
    class Same(nn.Conv2d):
        def forward(self, x):
            pads = []
            for n, k, s in zip(x.shape[:-3:-1], self.kernel_size, self.stride):
                more = max((-(n // -s) - 1) * s + k - n, 0)
                pads += [more // 2, more - more // 2]
            x = F.pad(x, pads) if any(p > 0 for p in pads) else x
            return F.conv2d(x, self.weight, self.bias, self.stride)

    assert agreed(nn.Sequential(Same(3, 8, 3, stride=2), nn.ReLU(), Same(8, 2, 3)))["0"].size == 8


def test_a_fixed_part_of_a_dual_path_is_told_in_the_words_of_its_code():
    def forward(m, x):
        y = m.a(x)
        return m.b(torch.cat([y[:, :5] * 2, y[:, 5:]], 1))

    why = agreed(Net(forward, a=conv(3, 8), b=conv(8, 2))).fixed["a"]
    assert why.startswith("`x[...]` takes a fixed part of its channels (test_groups_inputs.py:")

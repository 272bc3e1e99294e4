"""Variational dropout: which units go, against naive loops, and that nothing else changes."""

import pytest
import torch
from helpers.networks import Net, pooled
from helpers.pruning import batch, difference, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import leaky_relu, max_pool2d, relu

from prunelab import surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.methods.variational_dropout import VariationalDropout
from prunelab.models import build
from prunelab.train import Budget


def pruned(net, x, share, seed, inputs=(), hurt=()):
    """`net` under variational dropout; of each weight about `share` is pruned.

    `hurt`: (tensor name, axis) of which each line is pruned whole with probability 1/2.
    """
    g = torch.Generator().manual_seed(seed)
    made = VariationalDropout(budget=Budget(epochs=1), inputs=inputs)
    gated = made.gated(net, x)
    with torch.no_grad():
        for name, layer in gated.noisy.items():
            weight = layer.layer.weight
            gone = torch.rand(weight.shape, generator=g) < share
            for axis in [axis for other, axis in hurt if other == name]:
                lines = torch.rand(weight.shape[axis], generator=g) < 0.5
                gone.movedim(axis, 0)[lines] = True
            level = weight.square().log()
            layer.log_vars["weight"].copy_(torch.where(gone, level + 5, level - 5))
            assert torch.equal(layer.kept(), ~gone)
    return gated


def chain(conv_padding=0, bias=True):
    """Two convolutions and three linear layers, with pooling and flattening between."""
    return Net(
        lambda self, x: self.c(relu(self.b(relu(self.a(
            max_pool2d(relu(self.v(relu(self.u(x)))), 2).flatten(1)
        ))))),
        u=nn.Conv2d(2, 4, 3), v=nn.Conv2d(4, 3, 3, padding=conv_padding, bias=bias),
        a=nn.Linear(3 * (4 if not conv_padding else 9), 6), b=nn.Linear(6, 5), c=nn.Linear(5, 3),
    )  # fmt: skip


def naive(kept):
    """Units of `chain` that stay: deletions, one by one, until none is left to make."""
    order = ["u", "v", "a", "b", "c"]
    rows = {n: kept[n].flatten(2).any(2).tolist() if n in "uv" else kept[n].tolist() for n in order}
    size = {n: len(rows[n]) for n in order}
    constant, unread = set(), set()

    def readers(n, i):  # (reading layer, unit, is the weight there)
        after = order[order.index(n) + 1]
        columns = range(i * 4, i * 4 + 4) if n == "v" else [i]
        return [(after, o, any(rows[after][o][c] for c in columns)) for o in range(size[after])]

    def written(n, i):  # units whose weights enter
        before = order[order.index(n) - 1] if n != "u" else None
        if before is None:
            return [None for w in rows[n][i] if w]
        per = 4 if n == "a" else 1
        return [(before, c // per) for c, w in enumerate(rows[n][i]) if w]

    changed = True
    while changed:
        changed = False
        for n in order[:-1]:
            for i in range(size[n]):
                if (n, i) not in constant and all(k in constant for k in written(n, i)):
                    constant.add((n, i))
                    changed = True
                gone = constant | unread
                if (n, i) not in gone and all(not w or (o, u) in gone for o, u, w in readers(n, i)):
                    unread.add((n, i))
                    changed = True
    return {n: [(n, i) not in constant | unread for i in range(size[n])] for n in order[:-1]}


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.6, 0.8, 0.9]))
def test_units_go_as_in_a_naive_loop_and_the_function_stays_the_same(seed, share):
    net, x = ready(chain()), batch(2, 8, 8, n=3)
    hurt = [(name, axis) for name in "uvabc" for axis in (0, 1)]
    hurt = [h for i, h in enumerate(hurt) if (seed >> i) & 1]
    gated = pruned(net, x, share, seed, inputs=("a",), hurt=hurt)
    kept = {name: layer.kept() for name, layer in gated.noisy.items()}
    found, expected = gated.kept(), naive(kept)
    assert {name: found[name].tolist() for name in "uvab"} == expected
    dead = ~torch.tensor(expected["v"]).repeat_interleave(4)
    assert not found["a.inputs"][dead].any()
    before = gated.eval()(x)
    keep = {name: k if k.any() else torch.arange(len(k)) == 0 for name, k in found.items()}
    gated.fold(net, Keep(keep))
    with torch.no_grad():
        scale = before.abs().max()
        assert (net(x) - before).abs().max() < 1e-9 * scale
        assert (surgery.shrink(net, trace(net, x), keep)(x) - before).abs().max() < 1e-9 * scale
    for name, mask in kept.items():
        assert not net.get_parameter(f"{name}.weight")[~mask].any()


class Heads(nn.Module):
    """`c` reads `w` twice, as means and as sums; `d` reads `v` and `t`, which reads `u`."""

    def __init__(self):
        super().__init__()
        self.u, self.n = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.t, self.v = nn.ConvTranspose2d(6, 5, 3), nn.Conv2d(3, 4, 1)
        self.w, self.c, self.d = nn.Conv2d(3, 5, 1), nn.Linear(5, 4), nn.Conv2d(9, 4, 1)

    def forward(self, x):
        maps = relu(self.t(relu(self.n(self.u(x)))))
        both = self.d(torch.cat([leaky_relu(self.v(x), 0.3), maps], 1))
        w = relu(self.w(x))
        return pooled(both) + self.c(pooled(w)) + self.c(w.sum([2, 3]))


OTHERS = {
    "zero padding": (lambda: chain(conv_padding=1), 2),
    "no bias": (lambda: chain(bias=False), 2),
    "mixed": (Heads, 3),
    "residual": (lambda: build("resnet-20", 4, 3), 3),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", OTHERS)
def test_removing_units_changes_nothing_on_other_architectures(name, seed):
    net, x = ready(OTHERS[name][0]()), batch(OTHERS[name][1], 8, 8)
    groups = trace(net, x)
    hurt = [(s.layer, s.axis) for group in groups.values() for s in group.slices]
    gated = pruned(net, x, 0.2, seed, hurt=hurt)
    before = gated.eval()(x)
    keep = {n: k if k.any() else torch.arange(len(k)) == 0 for n, k in gated.kept().items()}
    assert not all(k.all() for k in keep.values())
    gated.fold(net, Keep(keep))
    with torch.no_grad():
        assert difference(net(x), before) < 1e-9
        assert difference(surgery.shrink(net, groups, keep)(x), before) < 1e-9


def test_a_unit_that_reads_nothing_stays_where_its_constant_fits_no_bias():
    for change, stays in (({}, False), ({"bias": False}, True), ({"conv_padding": 1}, True)):
        net, x = ready(chain(**change)), batch(2, 8, 8)
        gated = pruned(net, x, 0.0, 0)
        assert all(k.all() for k in gated.kept().values())
        with torch.no_grad():
            gated.noisy["u"].log_vars["weight"][1] = 30
        assert gated.kept()["u"].tolist() == [True, stays, True, True]

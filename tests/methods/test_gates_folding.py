"""Folding the factors of gates into the weights that read a unit is exact."""

from copy import deepcopy

import pytest
import torch
from helpers.gating import IMAGE, PAPERS, gated, small
from helpers.networks import Net, conv, head, pooled
from helpers.pruning import batch, difference, ready
from helpers.random_stack import Stack
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from prunelab import surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.models import build


def both(s, y):
    return s.last(pooled(y)) + s.b(y.flatten(1))


FOLDS = {
    "max pooling and flatten": small(
        lambda s, x: s.last(F.max_pool2d(F.relu(s.a(x)), 2).flatten(1)), last=head(6, 16)
    ),
    "average pooling and flatten": small(
        lambda s, x: s.last(F.avg_pool2d(F.relu(s.a(x)), 2).flatten(1)), last=head(6, 16)
    ),
    "a view of the sizes": small(
        lambda s, x: s.last(F.relu(s.a(x)).view(x.size(0), -1)), last=head(6, 64)
    ),
    "no ReLU in front of the pooling": small(
        lambda s, x: s.last(F.relu(F.max_pool2d(s.a(x), 4)).flatten(1)), last=head(6, 4)
    ),
    "adaptive pooling": small(lambda s, x: s.last(F.adaptive_max_pool2d(s.a(x), 1).flatten(1))),
    "a leaky ReLU": small(lambda s, x: s.last(pooled(F.leaky_relu(s.a(x))))),
    "a PReLU": small(lambda s, x: s.last(pooled(s.p(s.a(x)))), p=nn.PReLU(6)),
    "padding and stride": small(
        lambda s, x: s.last(pooled(F.relu(s.b(F.relu(s.a(x)))))), b=conv(6, 5, stride=2),
        last=head(5),
    ),
    "batch norm of the next layer": small(
        lambda s, x: s.last(pooled(F.relu(s.n(s.b(F.relu(s.a(x))))))), b=conv(6, 5),
        n=nn.BatchNorm2d(5), last=head(5),
    ),
    "two readers": small(
        lambda s, x: both(s, F.relu(s.a(x))), b=head(6, 64)
    ),
    "a concatenation": small(
        lambda s, x: s.last(torch.cat([pooled(s.a(x)), F.relu(s.b(x)).flatten(1)], 1)),
        b=conv(3, 5), last=head(6 + 5 * 64),
    ),
    "a transposed convolution": small(
        lambda s, x: s.last(pooled(F.relu(s.t(F.relu(s.a(x)))))), t=nn.ConvTranspose2d(6, 5, 2),
        last=head(5),
    ),
    "a weight that `forward` reads itself": small(
        lambda s, x: s.last(F.relu(F.conv2d(F.relu(s.a(x)), s.b.weight)).mean([2, 3])),
        b=nn.Conv2d(6, 5, 3, bias=False), last=head(5),
    ),
    "rows": Net(lambda s, x: s.last(F.relu(s.a(x))).mean([1, 2]), a=nn.Linear(8, 6), last=head(6)),
}  # fmt: skip


def folded(net, x, **options):
    """Outputs: of the gated mean network, of the net after folding, and of the shrunk net."""
    groups = trace(net, x)
    found = gated(net, x, **options).eval()
    with torch.no_grad():
        mean = found(x)
        keep = Keep(found.kept())
        found.fold(net, keep)
        return mean, net(x), surgery.shrink(net, groups, keep)(x)


@pytest.mark.parametrize("inputs", [(), ("a", "last")], ids=["units", "units and inputs"])
@pytest.mark.parametrize("which", FOLDS)
def test_the_folded_network_is_the_gated_mean_network(which, inputs):
    net = ready(deepcopy(FOLDS[which]))
    plain = net(batch(*IMAGE)).detach()
    mean, after, shrunk = folded(net, batch(*IMAGE), inputs=inputs)
    assert difference(after, mean) < 1e-14
    assert difference(shrunk, mean) < 1e-12
    assert difference(mean, plain) > 1e-2


@pytest.mark.parametrize("name", PAPERS)
def test_the_folded_network_is_the_gated_mean_network_on_the_papers_networks(name):
    net, x = ready(build(name)), batch(*PAPERS[name])
    mean, after, shrunk = folded(net, x, inputs=("fc1",) if "lenet" in name else ())
    assert difference(after, mean) < 1e-12 and difference(shrunk, mean) < 1e-12


STEPS = "conv conv relu relu pool prelu cat residual norm depthwise".split()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(2, 6)), min_size=1, max_size=6),
    flat=st.booleans(),
)
def test_a_random_network_is_refused_or_folded_exactly(steps, flat):
    net, x = ready(Stack(steps, flat)), batch(2, 6, 6)
    try:
        mean, after, shrunk = folded(net, x)
    except ValueError as error:
        assert str(error).startswith("gates: ")
        assume(False)
    assert difference(after, mean) < 1e-12 and difference(shrunk, mean) < 1e-12


def test_folding_follows_the_keep_that_it_is_given():
    net, x = ready(deepcopy(FOLDS["padding and stride"])), batch(*IMAGE)
    before = deepcopy(net)
    found = gated(net, x)
    keep = Keep({"a": torch.arange(6) == 1, "b": torch.ones(5, dtype=torch.bool)})
    found.fold(net, keep)
    mu = found.gates["a"].mu.detach().double()
    assert torch.equal(net.b.weight[:, 1], before.b.weight[:, 1] * mu[1])
    assert not net.b.weight[:, [0, 2, 3, 4, 5]].any()
    assert torch.equal(net.last.weight, before.last.weight * found.gates["b"].mu.double())
    others = [k for k in net.state_dict() if k not in ("b.weight", "last.weight")]
    assert all(torch.equal(net.state_dict()[k], before.state_dict()[k]) for k in others)


def test_a_gated_network_shares_its_layers_with_the_network():
    net, x = build("lenet-5"), batch(1, 28, 28).float()
    found = gated(net, x)
    assert found.graph.conv1 is net.conv1 and found.graph.fc2 is net.fc2
    own = {id(p) for g in found.gates.values() for p in g.parameters()}
    rest = {id(p) for p in found.parameters()} - own
    assert rest == {id(p) for p in net.parameters()} and len(own) == 3
    assert torch.allclose(found.penalty(), sum(g.mu.square().sum() for g in found.gates.values()))


def test_a_layer_can_have_any_name():
    net = ready(Net(lambda s, x: s.gates[1](pooled(F.relu(s.gates[0](x)))),
                    gates=nn.ModuleList([conv(3, 6), head(6)])))  # fmt: skip
    mean, after, _ = folded(net, batch(*IMAGE))
    assert difference(after, mean) < 1e-14

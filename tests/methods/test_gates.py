"""Gates: where they stand, what they draw, and what they are in evaluation."""

from copy import deepcopy

import pytest
import torch
from helpers.gating import IMAGE, PAPERS, Known, One, factors, gated, small
from helpers.networks import Net, head, pooled
from helpers.pruning import batch, fill, ready
from helpers.toy import dataset
from torch import nn
from torch.nn import functional as F

from prunelab.masks import Keep
from prunelab.methods.gating.places import GatePlace
from prunelab.models import build
from prunelab.train import evaluate


def wide(z):
    """Factors (n, size) for maps (n, size, H, W)."""
    return z[:, :, None, None]


def twice(s, y):
    return s.last(pooled(F.relu(y))) + s.b(pooled(y))


# Where a gate stands


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", PAPERS)
def test_with_factors_of_one_the_graph_is_the_network_bit_by_bit(name, training):
    net, x = fill(build(name)), batch(*PAPERS[name]).float()
    twin = deepcopy(net).train(training)
    found = gated(net, x, One, inputs=("fc1",) if "lenet" in name else ()).train(training)
    assert torch.equal(found(x), twin(x))
    state = net.state_dict()  # batch norm moved its statistics just the same
    assert all(torch.equal(v, state[k]) for k, v in twin.state_dict().items())


# Each network with what it computes when its units have factors z; they can be negative, so that
# a factor in front of a ReLU or behind a max pooling would give something else.
STANDS = {
    "behind a ReLU, in front of the pooling": (
        small(lambda s, x: s.last(pooled(F.max_pool2d(F.relu(s.a(x)), 2)))),
        lambda s, x, z: s.last(pooled(F.max_pool2d(F.relu(s.a(x)) * wide(z["a"]), 2))),
    ),
    "behind a module in place": (
        small(lambda s, x: s.last(pooled(F.max_pool2d(s.r(s.a(x)), 2))), r=nn.ReLU(inplace=True)),
        lambda s, x, z: s.last(pooled(F.max_pool2d(F.relu(s.a(x)) * wide(z["a"]), 2))),
    ),
    "behind a function in place": (
        small(lambda s, x: s.last(pooled(F.relu(s.a(x), inplace=True)))),
        lambda s, x, z: s.last(pooled(F.relu(s.a(x)) * wide(z["a"]))),
    ),
    "behind a method": (
        small(lambda s, x: s.last(pooled(s.a(x).relu()))),
        lambda s, x, z: s.last(pooled(F.relu(s.a(x)) * wide(z["a"]))),
    ),
    "behind a method in place": (
        small(lambda s, x: s.last(pooled(s.a(x).relu_()))),
        lambda s, x, z: s.last(pooled(F.relu(s.a(x)) * wide(z["a"]))),
    ),
    "behind torch.relu": (
        small(lambda s, x: s.last(pooled(torch.relu(s.a(x))))),
        lambda s, x, z: s.last(pooled(F.relu(s.a(x)) * wide(z["a"]))),
    ),
    "behind batch norm and ReLU": (
        small(lambda s, x: s.last(pooled(F.relu(s.b(s.a(x))))), b=nn.BatchNorm2d(6)),
        lambda s, x, z: s.last(pooled(F.relu(s.b(s.a(x))) * wide(z["a"]))),
    ),
    "behind batch norm without a ReLU": (
        small(lambda s, x: s.last(pooled(F.max_pool2d(s.b(s.a(x)), 2))), b=nn.BatchNorm2d(6)),
        lambda s, x, z: s.last(pooled(F.max_pool2d(s.b(s.a(x)) * wide(z["a"]), 2))),
    ),
    "behind the layer without a ReLU": (
        small(lambda s, x: s.last(pooled(F.max_pool2d(s.a(x), 2)))),
        lambda s, x, z: s.last(pooled(F.max_pool2d(s.a(x) * wide(z["a"]), 2))),
    ),
    "behind the layer where the ReLU comes after the pooling": (
        small(lambda s, x: s.last(pooled(F.relu(F.max_pool2d(s.a(x), 2))))),
        lambda s, x, z: s.last(pooled(F.relu(F.max_pool2d(s.a(x) * wide(z["a"]), 2)))),
    ),
    "behind the layer where two read it": (
        small(lambda s, x: twice(s, s.a(x)), b=head(6)),
        lambda s, x, z: twice(s, s.a(x) * wide(z["a"])),
    ),
    "behind linear layers": (
        small(lambda s, x: s.last(F.relu(s.b(F.relu(s.a(pooled(x)))))), a=nn.Linear(3, 5),
              b=nn.Linear(5, 6)),
        lambda s, x, z: s.last(F.relu(s.b(F.relu(s.a(pooled(x))) * z["a"])) * z["b"]),
    ),
    "in front of what it reads": (
        small(lambda s, x: s.last(F.max_pool2d(F.relu(s.a(x)), 4).flatten(1)), last=head(6, 4)),
        lambda s, x, z: s.last(
            F.max_pool2d(F.relu(s.a(x * wide(z["a.inputs"]))) * wide(z["a"]), 4).flatten(1)
            * z["last.inputs"]
        ),
    ),
    "in front of a layer that takes its input by name": (
        small(lambda s, x: s.last(input=pooled(F.relu(s.a(x))))),
        lambda s, x, z: s.last(
            pooled(F.relu(s.a(x * wide(z["a.inputs"]))) * wide(z["a"])) * z["last.inputs"]
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("where", STANDS)
def test_a_gate_stands(where, training):
    net, by_hand = STANDS[where]
    net, x = ready(deepcopy(net)), batch(*IMAGE, n=3)
    inputs = ("a", "last") if where.startswith("in front") else ()
    found = gated(net, x, inputs=inputs).train(training)
    computed = found(x)
    net.train(training)
    expected = by_hand(net, x, factors(found, draws=training))
    torch.testing.assert_close(computed, expected, rtol=1e-12, atol=1e-12)


def test_places_of_lenet_5_by_hand():
    net = build("lenet-5")
    places = [g.place for g in gated(net, batch(1, 28, 28).float(), inputs=["fc1"]).gates.values()]
    found = [(p.name, p.size, p.side, p.weights) for p in places]
    assert found == [
        ("conv1", 20, 24, 26), ("conv2", 50, 8, 501), ("fc1.inputs", 800, 1, 500),
        ("fc1", 500, 1, 10),
    ]  # fmt: skip
    axes = [p.axis for p in places]
    assert axes[:2] == [1, 1] and [a % 2 for a in axes[2:]] == [1, 1]


def test_places_in_nested_modules_have_the_sides_of_their_maps():
    places = [g.place for g in gated(build("vgg-16"), batch(3, 16, 16).float()).gates.values()]
    names = [f"features.conv{n}" for n in range(1, 14)] + ["classifier.fc1"]
    assert [p.name for p in places] == names
    assert [p.side for p in places] == [16] * 2 + [8] * 2 + [4] * 3 + [2] * 3 + [1] * 4
    assert [p.weights for p in places[:3]] == [28, 9 * 64 + 1, 9 * 64 + 1]
    assert places[-1].weights == 10


def test_the_side_of_a_map_that_is_no_square_is_that_of_a_square_as_large():
    rows = Net(lambda s, x: s.last(F.relu(s.a(x))).mean(1), a=nn.Linear(8, 6), last=head(6))
    maps = small(lambda s, x: s.last(pooled(s.a(x))))
    found = []
    for net, x, inputs in ((maps, batch(3, 4, 9), ("a",)), (rows, batch(9, 8), ("a", "last"))):
        gates = gated(net.double(), x, inputs=inputs).gates.values()
        found.append([(g.place.name, g.place.axis % x.ndim, g.place.side) for g in gates])
    assert found[0] == [("a.inputs", 1, 6), ("a", 1, 6)]
    assert found[1] == [("a.inputs", 2, 3), ("a", 2, 3), ("last.inputs", 2, 3)]


@pytest.mark.parametrize("name", ["resnet-20", "preresnet-56"])
def test_residual_networks_have_gates_inside_their_blocks_only(name):
    net = build(name)
    blocks = [n for n, _ in net.named_modules() if n.count(".") == 1 and n.startswith("layer")]
    found = gated(net, batch(*IMAGE).float()).gates
    assert list(found) == [f"{block}.conv1" for block in blocks]


# What a gate draws


@pytest.mark.parametrize(("shape", "axis"), [((6, 4, 4), 1), ((6,), 1), ((5, 6), -1), ((6,), -1)])
def test_noise_is_drawn_per_image_and_unit_and_shared_over_positions(shape, axis):
    gate = Known(GatePlace("a", 6, axis, 1, 1)).train()
    ratios = []
    for _ in range(2):
        ratio = gate(torch.ones(7, *shape)).movedim(axis, 1).reshape(7, 6, -1).detach()
        assert torch.equal(ratio, (gate.mean() * gate.drawn)[..., None].expand_as(ratio))
        ratios += ratio[..., 0].flatten().tolist()
    assert len(set(ratios)) == 2 * 7 * 6  # other images, other units, another call


def test_in_evaluation_nothing_is_drawn():
    net, x = ready(deepcopy(STANDS["behind a method"][0])), batch(*IMAGE)
    found, before = gated(net, x).eval(), torch.get_rng_state()
    assert torch.equal(found(x), found(x))
    assert torch.equal(torch.get_rng_state(), before)
    assert not hasattr(found.gates["a"], "drawn")


def test_evaluate_in_the_middle_of_training_judges_the_mean_network_and_leaves_the_mode():
    net, data = fill(build("lenet-5", 3)), dataset(size=28)
    found = gated(net, data.example).train()
    found.graph.conv1.eval()
    flags = [m.training for m in found.modules()]
    first, again = evaluate(found, data.test), evaluate(found, data.test)
    assert torch.equal(first.correct, again.correct) and first.loss == again.loss
    assert [m.training for m in found.modules()] == flags
    found.fold(net, Keep(found.kept()))
    folded = evaluate(net, data.test)
    assert torch.equal(folded.correct, first.correct)
    assert folded.loss == pytest.approx(first.loss, rel=1e-5)


def test_a_rate_leaves_the_factors_as_they_are():
    net, x = ready(deepcopy(STANDS["behind a method"][0])), batch(*IMAGE)
    fast, slow = gated(net, x, lambda p: Known(p, 20.0)).eval(), gated(net, x).eval()
    torch.testing.assert_close(fast(x), slow(x), rtol=1e-6, atol=0)
    assert torch.allclose(fast.gates["a"].mu * 20, slow.gates["a"].mu)

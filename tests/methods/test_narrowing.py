"""Training without the units that are far from being kept: what runs, and what comes of it."""

from dataclasses import replace

import pytest
import torch
from helpers.gating import Known, KnownMethod, Stop, gated
from helpers.networks import Net, conv, head
from helpers.pruning import batch, ready
from helpers.toy import dataset, network
from torch import nn

from prunelab.data import load
from prunelab.methods import BayesianCompression, InformationBottleneck
from prunelab.methods.gating.narrowing import Narrowed
from prunelab.models import build
from prunelab.train import Budget

ADAM = Budget(epochs=1, lr=1e-3, batch=64, optimizer="adam", weight_decay=0)


def narrowed(net, x, inputs=(), cut=0.0, make=Known):
    """Known gates (two of three units have a margin of 1, the third of -1)."""
    whole = gated(net, x, make, inputs=inputs)
    return whole, Narrowed(whole, net, cut)


NETS = {
    "lenet-300-100": (lambda: build("lenet-300-100"), (1, 28, 28), ("fc1",)),
    "lenet-5": (lambda: build("lenet-5-relu"), (1, 28, 28), ("fc1",)),
    "vgg with batch norm": (lambda: build("vgg-16"), (3, 32, 32), ()),
    "transposed convolutions": (
        lambda: Net(
            lambda s, x: s.last(s.p(s.b(s.a(x).relu())).mean((2, 3))),
            a=conv(3, 6),
            b=nn.ConvTranspose2d(6, 9, 3),
            p=nn.PReLU(9),
            last=head(9),
        ),
        (3, 8, 8),
        ("last",),
    ),
    "a residual network": (lambda: build("resnet-20"), (3, 16, 16), ()),
}


@pytest.mark.parametrize("case", NETS)
def test_in_evaluation_the_narrowed_network_computes_what_the_gated_one_does(case):
    make, shape, inputs = NETS[case]
    net = ready(make())
    whole, small = narrowed(net, batch(*shape, n=3), inputs)
    x = batch(*shape, n=5)
    torch.testing.assert_close(small.eval()(x), whole.eval()(x), rtol=1e-9, atol=1e-9)


def test_what_runs_has_the_shapes_of_the_units_left_and_the_rest_gets_no_gradient():
    net, x = build("lenet-5-relu").double(), batch(1, 28, 28, n=4)
    whole, small = narrowed(net, x, ("fc1",))
    seen = {}
    for name in ("conv1", "conv2", "fc1", "fc2"):

        def note(layer, _, name=name):
            seen[name] = tuple(layer.weight.shape)

        net.get_submodule(name).register_forward_pre_hook(note)
    (small.train()(x).sum() + small.penalty()).backward()
    kept = {name: gate.kept() for name, gate in whole.gates.items()}
    channels, units = kept["conv2"].repeat_interleave(16), kept["fc1.inputs"]
    n1, n2, n3, n4 = (
        int(v.sum()) for v in (kept["conv1"], kept["conv2"], channels & units, kept["fc1"])
    )
    assert n3 < int(channels.sum())
    assert seen == {
        "conv1": (n1, 1, 5, 5), "conv2": (n2, n1, 5, 5), "fc1": (n4, n3), "fc2": (10, n4),
    }  # fmt: skip
    moved = net.fc1.weight.grad != 0
    assert not moved[~kept["fc1"]].any() and not moved[:, ~(channels & units)].any()
    assert moved[kept["fc1"]][:, channels & units].double().mean() > 0.5
    assert not (whole.gates["fc1"].mu.grad != 0)[~kept["fc1"]].any()


def test_gradients_are_those_of_the_gated_network_where_it_draws_the_same():
    """With the removed units' factors at 0, and without noise, both are one function."""

    class Fixed(Known):
        def sample(self, n):
            return self.mean().expand(n, -1)

    net, x = build("lenet-300-100").double(), batch(1, 28, 28, n=4)
    whole, small = narrowed(net, x, ("fc1",), make=Fixed)
    with torch.no_grad():
        for gate in whole.gates.values():
            gate.mu[~gate.kept()] = 0
    grads = []
    for running in (whole, small):
        net.zero_grad()
        running.train()(x).square().sum().backward()
        grads.append([p.grad.clone() for p in net.parameters()])
    keep = {name: gate.kept() for name, gate in whole.gates.items()}
    first, second, pixels = keep["fc1"], keep["fc2"], keep["fc1.inputs"]
    left = {
        "fc1.weight": lambda g: g[first][:, pixels], "fc1.bias": lambda g: g[first],
        "fc2.weight": lambda g: g[second][:, first], "fc2.bias": lambda g: g[second],
        "fc3.weight": lambda g: g[:, second], "fc3.bias": lambda g: g,
    }  # fmt: skip
    for name, full, narrow in zip(dict(net.named_parameters()), *grads):
        part = left[name]
        torch.testing.assert_close(part(narrow), part(full), rtol=1e-9, atol=1e-12)
        assert part(full).any()


def test_batch_norms_go_on_noting_the_batches_of_what_runs():
    net = Net(lambda s, x: s.last(s.n(s.a(x)).relu().mean((2, 3))),
              a=conv(3, 6), n=nn.BatchNorm2d(6), last=head(6))  # fmt: skip
    net, x = net.double(), batch(3, 8, 8, n=4)
    whole, small = narrowed(net, x)
    small.train()(x)
    a = net.a(x).detach()
    expected = 0.1 * a.mean((0, 2, 3))
    kept = whole.gates["a"].kept()
    torch.testing.assert_close(net.n.running_mean[kept], expected[kept], rtol=1e-9, atol=1e-12)
    assert not net.n.running_mean[~kept].any()


def test_a_place_always_keeps_a_unit_that_runs():
    class Gone(Known):
        def margin(self):
            return torch.arange(len(self.mu)) - 1000.0

    net, x = build("lenet-300-100").double(), batch(1, 28, 28)
    whole, small = narrowed(net, x, ("fc1",), make=Gone)
    assert {k: v.sum().item() for k, v in small._running().items()} == dict.fromkeys(whole.gates, 1)
    assert small(x).isfinite().all()


DATA = dataset()
ONE = replace(ADAM, epochs=12, batch=8)
CUT = [
    InformationBottleneck(5e-3, budget=ONE, inputs=("5",), rate=50.0, cut=1.0),
    BayesianCompression(budget=ONE, inputs=("5",), rate=50.0, dead="keep one", cut=1.0),
]


@pytest.mark.parametrize("method", CUT, ids=lambda m: type(m).__name__)
def test_a_run_that_stops_ends_as_one_that_never_stopped(method, tmp_path):
    def stop(step, gated):
        if step == 4 * 6:
            raise Stop

    whole, broken, path = network(), network(), tmp_path / "run"
    expected = method.run(whole, DATA, progress=False).keep
    with pytest.raises(Stop):
        method.run(broken, DATA, progress=False, checkpoint=path, watch=stop)
    found = method.run(network(), DATA, progress=False, checkpoint=path)
    assert found.keep == expected and len(found.history[0].rows) == 12
    assert not all(kept.all() for kept in expected.values())


def test_a_narrowed_run_ends_near_the_plain_one_on_digits():
    digits, found = load("digits"), []
    plain = InformationBottleneck(3e-3, budget=replace(ADAM, epochs=20), inputs=("fc1",), rate=20.0)
    for method in (plain, replace(plain, cut=3.0)):
        torch.manual_seed(0)
        done = method.run(build("lenet-300-100"), digits, progress=False)
        found.append((done.keep.widths(), done.history[0].last["test_accuracy"]))
    (expected, before), (widths, after) = found
    assert after > before - 0.02 > 0.9
    for name, width in expected.items():
        assert width < 100 and abs(widths[name] - width) <= max(4, 0.15 * width)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "3", True])
def test_only_a_number_from_0_on_can_be_a_cut(value):
    with pytest.raises(ValueError, match=r"^KnownMethod: `cut` must be a number >= 0 or None; got"):
        KnownMethod(budget=ADAM, cut=value)

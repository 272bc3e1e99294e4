"""Noisy weights against weights that are really drawn, and the log-uniform KL against integrals."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from prunelab.methods.gating.gates import Gate
from prunelab.methods.gating.noisy_weights import NoisyLayer, NoisyNetwork, log_uniform_kl

BOTH = ("weight", "bias")


class Noisy(NoisyLayer):
    """Any noisy layer; its penalty is the number of its noisy parameters."""

    def penalty(self):
        return torch.tensor(float(sum(p.numel() for p in self.log_vars.values())))


class Ones(Gate):
    def sample(self, n):
        return torch.ones(n, self.place.size)

    def mean(self):
        return torch.ones(self.place.size)

    def margin(self):
        return torch.ones(self.place.size)

    def penalty(self):
        return torch.tensor(0.5)


def noisy(layer, names=BOTH, log_var=-2.0, rate=1.0, spread=1.0):
    """A stand-in with random parameters and random log variances."""
    made = Noisy(layer, rate, names, log_var)
    with torch.no_grad():
        for p in [*layer.parameters(), *made.log_vars.values()]:
            p.add_(torch.randn(p.shape) * spread)
    return made


def drawn(made, x, n):
    """(n, ...) outputs of the layer for one image, with weights drawn anew for each."""
    layer, out = made.layer, []
    means = {k: p.detach().clone() for k, p in layer.named_parameters()}
    with torch.no_grad():
        for _ in range(n):
            for name, p in layer.named_parameters():
                sigma = (0.5 * made.log_var(name)).exp() if name in made.log_vars else 0
                p.copy_(means[name] + sigma * torch.randn(p.shape))
            out.append(layer(x)[0])
        for name, p in layer.named_parameters():
            p.copy_(means[name])
    return torch.stack(out)


LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "linear without bias": (lambda: nn.Linear(6, 4, bias=False), (6,)),
    "linear over tokens": (lambda: nn.Linear(6, 4), (3, 6)),
    "conv": (lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 5, 5)),
    "grouped conv": (lambda: nn.Conv2d(4, 6, 2, groups=2, dilation=2), (4, 4, 4)),
    "circular conv": (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (2, 4, 4)),
    "conv 1d": (lambda: nn.Conv1d(2, 3, 2), (2, 5)),
}


@pytest.mark.parametrize("names", [BOTH, ("weight",)], ids=["all", "weights"])
@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_have_mean_and_variance_of_those_with_drawn_weights(kind, names):
    torch.manual_seed(0)
    n, (build, shape) = 3000, LAYERS[kind]
    made, x = noisy(build(), names), torch.randn(1, *shape)
    ours, theirs = made(x.expand(n, *shape)), drawn(made, x, n)
    assert ours.shape == theirs.shape
    for sample in (ours, theirs):  # the exact mean; five of its standard errors
        error = sample.mean(0) - made.layer(x)[0]
        assert (error.abs() < 5 * (sample.var(0) / n).sqrt()).all()
    ratio = ours.var(0) / theirs.var(0)
    assert ((ratio - 1).abs() < 5 * math.sqrt(4 / n)).all()


def test_each_image_output_and_position_has_noise_of_its_own():
    torch.manual_seed(0)
    made = noisy(nn.Conv2d(1, 2, 3))
    y = made(torch.ones(2000, 1, 4, 4))
    y = y.flatten(1)  # two outputs at four positions
    assert (torch.corrcoef(y.T) - torch.eye(8)).abs().max() < 5 / math.sqrt(2000)
    assert abs(torch.corrcoef(torch.stack([y[:-1, 0], y[1:, 0]]))[0, 1]) < 5 / math.sqrt(2000)


def test_in_evaluation_the_layer_itself_speaks():
    made, x = noisy(nn.Linear(6, 4)), torch.randn(5, 6)
    assert not torch.equal(made(x), made(x))
    made.eval()
    assert torch.equal(made(x), made.layer(x))


def test_the_parameters_are_those_of_the_layer_beside_a_log_variance_each():
    layer = nn.Linear(6, 4)
    made = Noisy(layer, 1.0, BOTH, -7.0)
    names = ["layer.weight", "layer.bias", "log_vars.weight", "log_vars.bias"]
    assert sorted(dict(made.named_parameters())) == sorted(names)
    assert made.layer.weight is layer.weight
    for name in BOTH:
        assert torch.equal(made.log_var(name), torch.full_like(getattr(layer, name), -7.0))
    assert list(Noisy(nn.Linear(6, 4, bias=False), 1.0, BOTH, -7.0).log_vars) == ["weight"]
    assert list(Noisy(layer, 1.0, ("weight",), -7.0).log_vars) == ["weight"]


@pytest.mark.parametrize("rate", [1.0, 10.0])
def test_a_step_of_one_size_moves_log_variances_rate_times_as_far_as_weights(rate):
    torch.manual_seed(0)
    made = Noisy(nn.Linear(6, 4), rate, BOTH, -3.0)
    made(torch.randn(50, 6)).square().sum().backward()
    with torch.no_grad():
        for p in made.parameters():
            p.sub_(1e-3 * p.grad.sign())  # as Adam's first
    for name in BOTH:
        moved = made.log_var(name).detach() + 3
        signs = -made.log_vars[name].grad.sign()
        torch.testing.assert_close(moved, rate * 1e-3 * signs, rtol=1e-2, atol=0)
        assert (signs != 0).all()


@settings(deadline=None, max_examples=60)
@given(st.floats(-80, 20), st.sampled_from([0.0, 1e-30, 1e-12, 1e-3, 1.0, 1e4]),
       st.sampled_from([0.0, 1e-20, 1.0, 1e4]), st.booleans(),
       st.sampled_from([BOTH, ("weight",)]))  # fmt: skip
def test_gradients_are_finite_for_any_variance_input_and_weight(log_var, size, weight, conv, names):
    made = Noisy(nn.Conv2d(1, 2, 2) if conv else nn.Linear(4, 2), 1.0, names, log_var)
    with torch.no_grad():
        for p in made.layer.parameters():
            p.fill_(weight)
    x = torch.full((3, 1, 2, 2) if conv else (3, 4), size, requires_grad=True)
    y = made(x)
    y.tanh().sum().backward()
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters())


def exact_kl(log_alpha):
    """The KL by numerical integration; its constant makes it 0 for pure noise."""
    spread = math.exp(0.5 * log_alpha)

    def log_size(n):  # E log |1 + spread n| over a standard normal n
        return math.log(abs(1 + spread * n) + 1e-300) * math.exp(-n * n / 2) / math.sqrt(math.tau)

    pole = -1 / spread
    parts = sorted({-12.0, max(-12.0, min(12.0, pole)), 12.0})
    mean = sum(quad(log_size, a, b, limit=500)[0] for a, b in zip(parts, parts[1:]))
    noise = -(0.5772156649 + math.log(2)) / 2  # E log |n|
    return mean - 0.5 * log_alpha - noise


@pytest.mark.parametrize("log_alpha", [-8.0, -5.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 5.0, 8.0])
def test_the_log_uniform_kl_is_a_close_fit_of_the_integral(log_alpha):
    assert abs(float(log_uniform_kl(torch.tensor(log_alpha))) - exact_kl(log_alpha)) < 0.01


def test_the_log_uniform_kl_falls_with_the_noise_to_zero_and_its_slopes_are_finite():
    log_alpha = torch.linspace(-300, 300, 5001, requires_grad=True)
    kl = log_uniform_kl(log_alpha)
    kl.sum().backward()
    assert (kl >= 0).all() and (kl.diff() <= 0).all() and kl[-1] == 0
    assert torch.isfinite(log_alpha.grad).all()
    assert log_alpha.grad[0] == pytest.approx(-0.5)  # of a precise weight, half a nat a nat


def branchy():
    """A layer that never runs, one that runs twice, and a bias-free one."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.idle = nn.Linear(5, 4, bias=False), nn.Linear(9, 9)
            self.body = nn.Sequential(nn.Linear(4, 3))
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.body(self.a(x).relu()).relu())

    return Net()


def test_a_noisy_network_has_all_layers_that_run_and_sums_all_penalties():
    net = branchy()

    def gate(place):
        return Ones(place, 1.0)

    def noise(layer):
        return Noisy(layer, 1.0, ("weight",), -5.0)

    method = SimpleNamespace(gate=gate, inputs=("a",), noise=noise)
    made = NoisyNetwork(net, torch.zeros(2, 5), method)
    assert list(made.noisy) == ["a", "body.0", "head"]
    assert [made.noisy[name].layer for name in made.noisy] == [net.a, net.body[0], net.head]
    assert list(made.gates) == ["a.inputs", "a", "body.0"]
    assert float(made.penalty()) == 3 * 0.5 + 20 + 12 + 6
    x = torch.randn(6, 5)
    assert not torch.equal(made(x), made(x))
    assert torch.equal(made.eval()(x), net(x))


def test_a_layer_with_a_computed_weight_is_refused_by_name():
    net = branchy()
    weight_norm(net.body[0])
    with pytest.raises(ValueError, match=r"`body.0` must have a weight and a bias only, got param"):
        NoisyNetwork(net, torch.zeros(2, 5), SimpleNamespace())

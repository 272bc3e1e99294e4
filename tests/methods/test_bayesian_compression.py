"""Bayesian compression: its divergences and draws against Monte Carlo."""

import math

import pytest
import torch
from helpers.pruning import batch, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions as D
from torch import nn

from prunelab.methods.bayesian_compression import (
    BayesianCompression,
    gamma_kl,
    standard_kl,
)
from prunelab.methods.gating.noisy_weights import log_uniform_kl
from prunelab.methods.gating.places import GatePlace
from prunelab.models import build
from prunelab.train import Budget

SHORT = Budget(epochs=2, lr=1e-3, batch=8, optimizer="adam", weight_decay=0)
PRIORS = ("jeffreys", "horseshoe")
N = 200_000


def method(prior="jeffreys", budget=SHORT, **options):
    return BayesianCompression(prior, budget=budget, **options)


def place(size=3):
    return GatePlace("fc1", size, -1, 1, 7)


def horseshoe(units=(), layer=(), size=3, threshold=-3.0, tau0=0.1, rate=1.0):
    """A gate whose log-normals have the given (mean, log variance), each for all units."""
    gate = method("horseshoe", rate=rate, threshold=threshold, tau0=tau0).gate(place(size))
    with torch.no_grad():
        for name, pairs in (("units", units), ("layer", layer)):
            for row, (mean, log_var) in enumerate(pairs):
                getattr(gate, name)[row] = mean / rate
                getattr(gate, f"{name}_log_var")[row] = log_var / rate
    return gate


@settings(deadline=None, max_examples=50)
@given(st.floats(-5, 5), st.floats(-12, 4))
def test_the_kl_of_weights_is_that_of_two_normals(mean, log_var):
    mean, log_var = torch.tensor([mean, log_var], dtype=torch.float64)
    expected = D.kl_divergence(D.Normal(mean, (0.5 * log_var).exp()), D.Normal(0.0, 1.0))
    torch.testing.assert_close(standard_kl(mean, log_var), expected)


def monte_carlo_kl(posterior, prior):
    """Mean and standard error of log q - log p over draws from q."""
    x = posterior.sample((N,))
    ratio = posterior.log_prob(x) - prior.log_prob(x)
    return float(ratio.mean()), float(ratio.std()) / math.sqrt(N)


CASES = [(0.0, -9.0, 1.0), (-1.5, 0.3, 1.0), (1.0, -2.0, 0.01), (-4.0, -1.0, 0.02), (0.7, 0.0, 4.0)]


@pytest.mark.parametrize(("mean", "log_var", "scale"), CASES)
def test_the_kl_of_a_log_normal_from_a_gamma_agrees_with_monte_carlo(mean, log_var, scale):
    torch.manual_seed(0)
    m, v, one = (torch.tensor(x, dtype=torch.float64) for x in (mean, log_var, 1.0))
    posterior = D.LogNormal(m, (0.5 * v).exp())
    expected, error = monte_carlo_kl(posterior, D.Gamma(0.5 * one, one / scale))
    assert abs(gamma_kl(m, v, math.log(scale)).item() - expected) < 5 * error
    expected, error = monte_carlo_kl(posterior, D.InverseGamma(0.5 * one, one))
    assert abs(gamma_kl(-m, v).item() - expected) < 5 * error


UNITS, LAYER = [(0.3, -1.0), (-0.8, -0.5)], [(-1.2, -2.0), (0.9, 0.1)]


def test_a_horseshoe_factor_is_distributed_as_the_root_of_the_product_of_four_log_normals():
    torch.manual_seed(0)
    gate = horseshoe(UNITS, LAYER)
    product = torch.ones(N)
    for mean, log_var in UNITS + LAYER:
        product *= D.LogNormal(mean, math.exp(0.5 * log_var)).sample((N,))
    theirs = product.sqrt()
    with torch.no_grad():
        ours, (mean, variance), expected = gate.sample(N), gate.log_normal(), gate.mean()
    assert ours.shape == (N, 3)
    for z in (theirs, *ours.T):
        log = z.log()
        assert float(log.mean()) == pytest.approx(float(mean[0]), abs=5 * float(log.std()) / N**0.5)
        assert float(log.var()) == pytest.approx(float(variance[0]), rel=5 * (2 / N) ** 0.5)
        assert float(z.mean()) == pytest.approx(float(expected[0]), abs=5 * float(z.std()) / N**0.5)
    grid = torch.linspace(-6, 4, 100_001)
    peak = grid[D.LogNormal(mean[0], variance[0].sqrt()).log_prob(grid.exp()).argmax()]
    assert (gate.margin() + gate.threshold)[0].item() == pytest.approx(float(peak), abs=2e-4)
    assert torch.corrcoef(ours.T)[0, 1].abs() < 5 / N**0.5


def test_the_horseshoe_penalty_is_the_sum_over_units_and_the_layer():
    gate = horseshoe(UNITS, LAYER, size=4, tau0=0.1)
    of = [torch.tensor(pair, dtype=torch.float64) for pair in UNITS + LAYER]
    a, b, s_a, s_b = ((float(m), float(v)) for m, v in of)
    expected = 0
    for m, v, scale, times in (
        (*a, 1, 4),
        (-b[0], b[1], 1, 4),
        (*s_a, 0.01, 1),
        (-s_b[0], s_b[1], 1, 1),
    ):
        kl = math.log(math.sqrt(scale)) + math.exp(m + math.exp(v) / 2) / scale
        expected += times * (kl - 0.5 * (m + v + 1 + math.log(2)))  # as papers/vibnet.md writes it
    assert gate.penalty().item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rate", [1.0, 10.0])
def test_a_horseshoe_factor_starts_near_1_at_the_size_of_its_layers_prior(rate):
    gate = method("horseshoe", rate=rate).gate(place(5))
    torch.testing.assert_close(gate.mean(), torch.ones(5), rtol=0, atol=1e-3)
    s_a, s_b = gate.value("layer")[:, 0].tolist()
    assert s_a == pytest.approx(2 * math.log(1e-5)) and s_b == pytest.approx(-s_a)
    assert gate.penalty() < 5 * 9 + 9 + 2 * 12  # nothing of the size 1 / tau0^2


def test_a_horseshoe_unit_is_kept_while_its_log_mode_is_above_the_threshold():
    gate = horseshoe(UNITS, LAYER, threshold=-1.5)
    with torch.no_grad():
        gate.units[0] = torch.tensor([4.0, 0.0, -4.0])
        modes = gate.margin() + gate.threshold
    assert gate.kept().tolist() == [m > -1.5 for m in modes.tolist()] == [True, True, False]
    assert torch.equal(gate.factor(), gate.mean() * torch.tensor([1.0, 1.0, 0.0]))


def normal(mu, log_var, threshold=-3.0):
    gate = method(threshold=threshold).gate(place(len(mu)))
    with torch.no_grad():
        gate.mu.copy_(torch.tensor(mu))
        gate.log_var.copy_(torch.tensor(log_var))
    return gate


def test_a_normal_gate_has_the_log_uniform_kl_and_is_kept_below_the_threshold():
    mu, log_var = [1.0, 0.5, -1.0, 0.1], [-3.1, -4.3, -9.0, -4.7]
    alphas = [v - 2 * math.log(abs(m)) for m, v in zip(mu, log_var)]
    assert [alpha < -3 for alpha in alphas] == [True, False, True, False]
    gate = normal(mu, log_var)
    assert gate.kept().tolist() == [True, False, False, False]  # a negative factor goes too
    assert normal(mu, log_var, -2.0).kept().tolist() == [True, True, False, False]
    expected = log_uniform_kl(torch.tensor(alphas)).sum().item()
    assert gate.penalty().item() == pytest.approx(expected, rel=1e-4)


def test_a_normal_gate_draws_with_its_mean_and_variance():
    torch.manual_seed(0)
    gate = normal([1.0, 0.5, -2.0], [-3.0, 0.0, 1.0])
    with torch.no_grad():
        z = gate.sample(N)
    spread = (0.5 * gate.log_var.detach()).exp()
    assert ((z.mean(0) - gate.mu.detach()).abs() < 5 * spread / N**0.5).all()
    assert ((z.std(0) / spread - 1).abs() < 5 / (2 * N) ** 0.5).all()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([0.0, 1e-20, -1.0, 1e6]), st.floats(-60, 20), st.floats(-40, 40),
       st.floats(-30, 4))  # fmt: skip
def test_gradients_of_gates_are_finite_at_extremes(mu, log_var, mean, other):
    gates = [normal([mu, -mu], [log_var] * 2), horseshoe([(mean, other)] * 2, [(-mean, other)] * 2)]
    for gate in gates:
        loss = gate.penalty() + gate.sample(5).clamp(max=1e6).sum()
        loss.backward()
        assert torch.isfinite(gate.penalty())
        assert all(torch.isfinite(p.grad).all() for p in gate.parameters())


@pytest.mark.parametrize("prior", PRIORS)
def test_the_penalty_is_that_of_gates_weights_and_biases_over_the_number_of_images(prior):
    net = ready(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)))
    gated = method(prior, inputs=("0",), log_var=-4.0).gated(net, batch(6))
    assert list(gated.gates) == ["0.inputs", "0"]
    expected = sum(gate.penalty().item() for gate in gated.gates.values())
    for p in net.parameters():
        for w in p.flatten().tolist():
            expected += 0.5 * (4 + math.exp(-4) + w * w - 1)
    assert gated.penalty().item() == pytest.approx(expected, rel=1e-5)
    assert method().strength(250) == 1 / 250


@pytest.mark.parametrize("prior", PRIORS)
def test_thresholds_are_one_number_or_by_place_and_3_below_zero_elsewhere(prior):
    net, x = build("lenet-300-100"), torch.zeros(2, 1, 28, 28)

    def thresholds(**options):
        gated = method(prior, inputs=("fc1",), **options).gated(net, x)
        return [gate.threshold for gate in gated.gates.values()]

    assert thresholds() == [-3.0] * 3
    assert thresholds(threshold=-1.5) == [-1.5] * 3
    assert thresholds(threshold={"fc1.inputs": -2, "fc2": 0}) == [-2, -3.0, 0]
    with pytest.raises(
        ValueError, match=r"names 'fc3', which has no gate; it must be one of fc1.inputs, fc1, fc2$"
    ):
        thresholds(threshold={"fc3": -2.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "laplace"}, "`prior` must be one of jeffreys, horseshoe; got 'laplace'"),
        (
            {"threshold": "3"},
            "`threshold` must be a number, or such numbers by name.*; got '3'",
        ),
        (
            {"threshold": {"fc1": None}},
            "`threshold` must be a number, or such numbers by name",
        ),
        ({"threshold": None}, "`threshold` must be a number"),
        ({"threshold": math.nan}, "`threshold` must be a number"),
        ({"tau0": 0}, r"`tau0` must be a number in \[1e-9, 1e3\]; got 0"),
        ({"log_var": 6}, r"`log_var` must be a number in \[-30, 5\]; got 6"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=f"^BayesianCompression: {message}") as caught:
        method(**options)
    assert "\n" not in str(caught.value)

"""The log-normal gate against 60 digits and sampling, and structured Bayesian pruning on digits."""

import math
from copy import deepcopy
from dataclasses import replace

import mpmath as mp
import pytest
import torch
from helpers.toy import same
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prunelab.methods.gating.places import GatePlace
from prunelab.methods.structured_bayesian import LogNormal, StructuredBayesian
from prunelab.train import Budget, evaluate

ADAM = Budget(epochs=8, lr=1e-3, batch=32, optimizer="adam", weight_decay=0, schedule="linear",
              milestones=(0.5,))  # fmt: skip
NAMES = ["fc1.inputs", "fc1", "fc2"]
MU, LOG_SIGMA = st.floats(-20, 5), st.floats(-12, 5)
POINTS = [(0, -5), (-1, -5), (0.3, -3), (-4, 0.5), (-12, 1), (2, 3), (-0.1, -2), (5, 1)]
mp.mp.dps = 60


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gate_of(mu, log_sigma, rate=1.0, **options):
    gate = method(rate=rate, **options).gate(GatePlace("a", len(mu), -1, 1, 7))
    with torch.no_grad():
        gate.mu.copy_(torch.tensor(mu) / rate)
        gate.log_sigma.copy_(torch.tensor(log_sigma) / rate)
    return gate


def method(epochs=8, **options):
    fields = {"budget": replace(ADAM, epochs=epochs), "inputs": ("fc1",), "rate": 50.0}
    return StructuredBayesian(**(fields | options))


# The formulas of the paper, as they stand, in 60 digits


def between(a, b):
    return (mp.erfc(-b / mp.sqrt(2)) - mp.erfc(-a / mp.sqrt(2))) / 2


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def kl(mu, log_sigma):
    sigma = mp.exp(log_sigma)
    a, b = (-20 - mu) / sigma, -mu / sigma
    z = between(a, b)
    tails = (a * density(a) - b * density(b)) / (2 * z)
    return mp.log(20) - mp.log(2 * mp.pi * mp.e) / 2 - log_sigma - mp.log(z) - tails


def moment(mu, log_sigma, k):
    s = mp.exp(log_sigma)
    a, b = (-20 - mu) / s, -mu / s
    return mp.exp(k * mu + (k * s) ** 2 / 2) * between(a - k * s, b - k * s) / between(a, b)


def share_below(t, mu, log_sigma):
    s = mp.exp(log_sigma)
    return between((-20 - mu) / s, (t - mu) / s) / between((-20 - mu) / s, -mu / s)


def slope(f, x):
    step = mp.mpf(10) ** -20
    return (f(x + step) - f(x - step)) / (2 * step)


def made(mu, log_sigma):
    mu, log_sigma = leaf(mu), leaf(log_sigma)
    return mu, log_sigma, LogNormal(mu, log_sigma.exp())


@settings(deadline=None, max_examples=60)
@given(mu=MU, log_sigma=LOG_SIGMA)
def test_kl_and_its_gradient_are_those_of_the_paper_in_60_digits(mu, log_sigma):
    m, s, noise = made(mu, log_sigma)
    value = noise.kl()
    mu, log_sigma = mp.mpf(mu), mp.mpf(log_sigma)
    assert value.item() == pytest.approx(float(kl(mu, log_sigma)), abs=1e-8)
    gradients = torch.autograd.grad(value.sum(), (m, s))
    for found, f, x in (
        (gradients[0], lambda v: kl(v, log_sigma), mu),
        (gradients[1], lambda v: kl(mu, v), log_sigma),
    ):
        assert found.item() == pytest.approx(float(slope(f, x)), rel=1e-4, abs=1e-8)


@settings(deadline=None, max_examples=60)
@given(mu=MU, log_sigma=LOG_SIGMA)
def test_mean_and_signal_to_noise_are_those_of_the_paper_in_60_digits(mu, log_sigma):
    noise = made(mu, log_sigma)[2]
    mean, square = (moment(mp.mpf(mu), mp.mpf(log_sigma), k) for k in (1, 2))
    snr = float(mean / mp.sqrt(square - mean**2))
    assert noise.log_moment(1).item() == pytest.approx(float(mp.log(mean)), abs=1e-8)
    assert noise.log_moment(2).item() == pytest.approx(float(mp.log(square)), abs=1e-8)
    if snr < 1000:
        assert noise.snr().item() == pytest.approx(snr, rel=1e-3)
    else:
        assert noise.snr().item() > 900


@settings(deadline=None, max_examples=60)
@given(mu=MU, log_sigma=LOG_SIGMA, u=st.floats(1e-6, 1 - 1e-6))
def test_quantiles_invert_the_distribution_function_deep_in_the_tails_too(mu, log_sigma, u):
    t = made(mu, log_sigma)[2].quantile(torch.tensor([u], dtype=torch.float64)).item()
    assert -20 <= t <= 0
    back = share_below(mp.mpf(t), mp.mpf(mu), mp.mpf(log_sigma))
    grain = mp.mpf(1e-16) / mp.exp(log_sigma) * max(1, abs(t)) * 50  # t itself is rounded
    assert float(back) == pytest.approx(u, rel=1e-4, abs=max(1e-9, float(grain)))


@pytest.mark.parametrize("x", [29.99, 30.01])
@pytest.mark.parametrize("u", [0.05, 0.3, 0.9])
def test_where_the_series_of_the_tail_begins_it_is_good_to_a_millionth(u, x):
    mu = x * math.exp(-5)
    t = made(mu, -5.0)[2].quantile(torch.tensor([u], dtype=torch.float64)).item()
    assert float(share_below(mp.mpf(t), mp.mpf(mu), mp.mpf(-5))) == pytest.approx(u, rel=1e-6)


@pytest.mark.parametrize("x", [29.99, 30.01])
def test_where_the_series_of_the_divergence_begins_it_is_as_good_as_the_formula(x):
    mu = x * math.exp(-5)
    value = made(mu, -5.0)[2].kl().item()
    assert value == pytest.approx(float(kl(mp.mpf(mu), mp.mpf(-5))), rel=1e-11)


@pytest.mark.parametrize(("mu", "log_sigma"), [*POINTS, (0.5, -5), (5, -4), (3, -2.5)])
@pytest.mark.parametrize("u", [0.01, 0.4, 0.95])
def test_gradients_of_a_draw_move_the_distribution_function(mu, log_sigma, u):
    m, s, noise = made(float(mu), float(log_sigma))
    t = noise.quantile(torch.tensor([u], dtype=torch.float64))
    found = torch.autograd.grad(t.sum(), (m, s))
    t, mu, log_sigma = mp.mpf(t.item()), mp.mpf(mu), mp.mpf(log_sigma)
    along = slope(lambda v: share_below(v, mu, log_sigma), t)
    by_mu = -slope(lambda v: share_below(t, v, log_sigma), mu) / along
    by_sigma = -slope(lambda v: share_below(t, mu, v), log_sigma) / along
    assert found[0].item() == pytest.approx(float(by_mu), rel=1e-4)
    assert found[1].item() == pytest.approx(float(by_sigma), rel=1e-4)


def test_at_the_start_mu_has_the_gradient_that_it_has_nearby():
    m, _, noise = made(0.0, -5.0)  # where the formulas for both sides meet
    found = torch.autograd.grad(noise.kl().sum(), m)[0].item()
    assert found == pytest.approx(float(slope(lambda v: kl(v, mp.mpf(-5)), mp.mpf(0))), rel=1e-9)
    assert found > 0


# The same by sampling


@pytest.mark.parametrize(("mu", "log_sigma"), POINTS)
def test_kl_is_the_mean_of_log_q_minus_log_p(mu, log_sigma):
    s = math.exp(log_sigma)
    q = stats.truncnorm((-20 - mu) / s, -mu / s, loc=mu, scale=s)
    ratio = q.logpdf(q.rvs(20_000, random_state=1)) + math.log(20)
    error = 5 * ratio.std() / math.sqrt(len(ratio))
    value = made(float(mu), float(log_sigma))[2].kl().item()
    assert value == pytest.approx(ratio.mean(), abs=error + 1e-6)


@torch.no_grad()
def test_draws_have_the_mean_and_the_variance_of_the_formulas():
    torch.manual_seed(2)
    gate = gate_of(*map(list, zip(*[(float(m), float(s)) for m, s in POINTS])))
    theta = gate.sample(50_000).double()
    spread, mean = torch.std_mean(theta, 0)
    error = 5 * spread / math.sqrt(len(theta))
    assert bool(((mean - gate.mean()).abs() < error + 1e-7).all())
    centred = (theta - mean).square()
    error = 5 * centred.std(0) / math.sqrt(len(theta))
    variance = (gate.mean() / gate.noise().snr()).square()
    assert bool(((spread.square() - variance).abs() < error + 1e-9).all())


def test_images_and_units_are_drawn_apart():
    torch.manual_seed(5)
    z = gate_of([0.0] * 40, [-2.0] * 40).sample(50)
    assert z.shape == (50, 40) and z.dtype == torch.float32
    assert not (z == z[:1]).all(0).any() and not (z == z[:, :1]).all(1).any()


# Extremes, threshold, bounds


@settings(deadline=None)
@given(
    mu=st.floats(-30, 10), log_sigma=st.floats(-20, 10), rate=st.sampled_from([1.0, 20.0]),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_draws_stay_in_their_interval_and_all_is_finite(mu, log_sigma, rate, seed):
    torch.manual_seed(seed)
    gate = gate_of([mu, 0.0], [log_sigma, -5.0], rate)
    gate.bound()
    theta = gate(torch.ones(200, 2))
    assert bool((theta >= math.exp(-20) * 0.999).all()) and bool((theta <= 1).all())
    total = theta.sum() + gate.penalty() + gate.mean().sum() + gate.noise().snr().sqrt().sum()
    total.backward()
    assert math.isfinite(total.item())
    assert bool(gate.mu.grad.isfinite().all() and gate.log_sigma.grad.isfinite().all())


@pytest.mark.parametrize("rate", [1.0, 20.0])
def test_parameters_are_brought_back_to_their_intervals_and_have_slopes_there(rate):
    mu, log_sigma = [-30.0, -3.0, 9.0], [8.0, -4.0, -15.0]
    gate = gate_of(mu, log_sigma, rate)
    gate.train()(torch.ones(1, 3))
    assert gate.value("mu").tolist() == pytest.approx(mu)
    assert gate.value("log_sigma").tolist() == pytest.approx(log_sigma)
    gate.bound()
    assert gate.value("mu").tolist() == pytest.approx([-20, -3, 5])
    assert gate.value("log_sigma").tolist() == pytest.approx([5, -4, -12])
    gate.penalty().backward()
    assert bool((gate.mu.grad[[0, 2]] != 0).all()) and bool((gate.log_sigma.grad != 0).all())


def test_a_unit_above_the_threshold_is_kept():
    gate = gate_of([-1.0, -8.0], [-0.5, 2.0])
    snr = gate.noise().snr()[0].item()
    assert gate_of([-1.0], [-0.5], snr=0.999 * snr).kept().tolist() == [True]
    assert gate_of([-1.0], [-0.5], snr=1.001 * snr).kept().tolist() == [False]
    assert gate.kept().tolist() == [True, False]  # the default: 1


def test_in_evaluation_kept_units_have_their_mean_and_others_0():
    gate = gate_of([-1.0, -8.0], [-0.5, 2.0]).eval()
    mean = float(moment(mp.mpf(-1), mp.mpf(-0.5), 1))
    assert gate(torch.tensor([[2.0, 3.0]])).tolist() == [[pytest.approx(2 * mean), 0]]


# The method


def run(trained, digits, how, **options):
    net = deepcopy(trained)
    return net, how.run(net, digits, progress=False, **options)


@pytest.fixture(scope="module")
def pruned(trained, digits):
    return run(trained, digits, method())


def test_pixels_and_units_are_removed_and_digits_still_read(pruned, digits):
    net, done = pruned
    widths = done.keep.widths()  # measured: 92, 129, 75 and 96.4%
    assert list(widths) == NAMES
    assert widths["fc1.inputs"] < 250 and widths["fc1"] < 220 and widths["fc2"] < 95
    assert evaluate(net, digits.test).accuracy > 0.93
    assert done.history[0].last["test_accuracy"] == evaluate(net, digits.test).accuracy


def test_without_the_prior_no_unit_is_removed(trained, digits):
    net, done = run(trained, digits, method(1, scale=0))
    assert all(kept.all() for kept in done.keep.values())
    assert not same(net, trained)


def test_a_scale_by_place_weighs_its_divergence_and_leaves_others_at_1(trained, digits):
    gated = method(scale={"fc1": 10, "fc2": 0}).gated(trained, digits)
    start = float(kl(mp.mpf(0), mp.mpf(-5)))
    assert gated.penalty().item() == pytest.approx((784 + 10 * 300) * start, rel=1e-6)
    gated = method(scale=3.0, log_sigma=-2.5).gated(trained, digits)
    start = float(kl(mp.mpf(0), mp.mpf(-2.5)))
    assert gated.penalty().item() == pytest.approx(3 * (784 + 300 + 100) * start, rel=1e-6)
    assert method().strength(1257) == 1 / 1257


def test_the_threshold_reaches_the_gates(trained, digits):
    gates = method(snr=0.7).gated(trained, digits).gates
    assert list(gates) == NAMES and all(gate.snr == 0.7 for gate in gates.values())


def test_a_scale_of_a_place_that_has_no_gate_is_refused(trained, digits):
    net = deepcopy(trained)
    message = r"^StructuredBayesian: `scale` names 'fc9', .* one of fc1.inputs, fc1, fc2$"
    with pytest.raises(ValueError, match=message):
        method(scale={"fc1": 2, "fc9": 1}).run(net, digits, progress=False)
    assert same(net, trained)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("scale", [-0.1, math.nan, math.inf, "1", None, True, {"fc1": -1}, {"fc1": None}]),
        ("snr", [-1, math.nan, math.inf, "a", None, True, {"fc1": 1}]),
        ("log_sigma", [-12.5, 5.5, math.nan, "a", None, True]),
    ],
)
def test_a_bad_field_is_refused_when_the_method_is_made(field, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"^StructuredBayesian: `{field}` must be .* got "):
            method(**{field: value})

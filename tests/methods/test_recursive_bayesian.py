"""RBP, a reconstruction: its KL, the Dirac step, its stages, and what they leave."""

import math

import pytest
import torch
from helpers.every_method import state, traces
from helpers.recursive import NAMES, TOY, lenet, method, run
from helpers.toy import network
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import nn
from torch.autograd.functional import hessian
from torch.distributions import Laplace, Normal, kl_divergence

from prunelab.methods.gating.gates import EPSILON
from prunelab.methods.gating.places import GatePlace
from prunelab.methods.recursive_bayesian import PRIORS


def noise(mu, sigma, **fields):
    """The noise of a layer in its stage, in double precision."""
    gate = method(sigma=sigma, rate=1.0, **fields).gate(GatePlace("a", len(mu), 1, 5, 1)).double()
    gate.begin()
    with torch.no_grad():
        gate.mu.copy_(torch.tensor(mu))
    return gate


# The prior


@given(st.floats(-2, 2), st.floats(0.01, 0.5))
def test_the_kl_is_that_from_the_best_of_all_gaussians_around_0(mu, sigma):
    def divergence(log_tau):
        prior = Normal(0.0, math.exp(log_tau / 2))
        return kl_divergence(Normal(mu, sigma), prior).item()

    best = minimize_scalar(divergence, bounds=(-12, 4), method="bounded", options={"xatol": 1e-9})
    assert noise([mu], sigma).penalty().item() == pytest.approx(best.fun, rel=1e-3, abs=2e-5)
    assert math.exp(best.x) == pytest.approx(mu**2 + sigma**2, rel=1e-2)


def test_the_kl_is_what_samples_give():
    mu, sigma = 0.3, 0.1
    q, prior = Normal(mu, sigma), Normal(0.0, math.hypot(mu, sigma))
    torch.manual_seed(0)
    x = q.sample((200_000,))
    sampled = (q.log_prob(x) - prior.log_prob(x)).mean().item()
    assert noise([mu], sigma).penalty().item() == pytest.approx(sampled, rel=2e-2)


@pytest.mark.parametrize("mu", [-0.7, 0.02, 1.0])
def test_the_other_priors_are_what_they_are_called(mu):
    sigma = 0.05
    q, alpha = Normal(mu, sigma), torch.tensor((mu / sigma) ** 2)
    l2 = kl_divergence(q, Normal(0.0, sigma))
    assert PRIORS["l2"](alpha).item() == pytest.approx(l2.item(), rel=1e-4)
    laplace = Laplace(0.0, sigma)  # of a Dirac at mu, less that of one at 0
    dirac = laplace.log_prob(torch.zeros(())) - laplace.log_prob(torch.tensor(mu))
    assert PRIORS["laplace"](alpha).item() == pytest.approx(dirac.item(), rel=1e-4)


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_pulls_a_mean_to_0_and_has_a_finite_slope_there(prior):
    mu = [0.0, 0.01, 0.05, 0.3, 1.0]
    gate = noise(mu, 0.05, prior=prior)
    gate.penalty().backward()
    assert gate.mu.grad.isfinite().all() and (gate.mu.grad[1:] > 0).all()
    steepest = mu[gate.mu.grad.argmax()]
    if prior in ("dirac", "l2"):
        assert steepest == {"dirac": 0.05, "l2": 1.0}[prior]  # at sigma0: it makes sparse


def test_the_strength_is_beta_over_the_images_and_the_side_of_a_map_where_asked():
    gate, wide = noise([1.0, 0.5], 0.05), noise([1.0, 0.5], 0.05, spatial=True)
    assert wide.penalty().item() == pytest.approx(5 * gate.penalty().item())
    assert method(24.0).strength(60_000) * 24 == pytest.approx(4e-4)
    by_name = method({"conv1": 1.0, "conv2": 2.0, "fc1": 3.0}).gated(lenet(), TOY)
    assert [gate.beta for gate in by_name.gates.values()] == [1, 2, 3]


# The Dirac step


def left_out(sigma, monkeypatch):
    """What the Dirac step leaves out of class probabilities, and 1/2 sigma^2 sum_c g_cc(mu).

    The first is E g over the noise of a stage, less g once its gate is decided. Noise comes in
    pairs of opposite sign, so that the first order cancels exactly.
    """
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.ReLU(), nn.Linear(4, 3))
    gated = method(sigma=sigma).gated(net, TOY).double().train()
    (gate,) = gated.gates.values()
    gate.begin()
    x, eps = TOY.train.batch(slice(0, 1))[0].double(), torch.randn(20_000, 4).double()
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(torch, "randn", lambda *size, device: torch.cat([eps, -eps]))
        noisy = gated(x.expand(40_000, *x.shape[1:])).softmax(1).mean(0)
        gate.decide(torch.ones(4, dtype=torch.bool))
        missed = noisy - gated(x).softmax(1)[0]
    hidden, read = net[2](net[1](x.flatten(1))), net[3]
    curved = [
        hessian(lambda theta, k=k: read(hidden * theta).softmax(1)[0, k], torch.ones(4).double())
        for k in range(3)
    ]
    return missed, torch.stack([0.5 * sigma**2 * h.trace() for h in curved]).detach()


def test_what_the_dirac_step_leaves_out_is_of_the_second_order(monkeypatch):
    """E g(theta) - g(mu) = 1/2 sigma^2 sum_c g_cc(mu) + O(sigma^4)."""
    (wide, _), (narrow, expected) = (left_out(sigma, monkeypatch) for sigma in (0.1, 0.05))
    assert (wide.norm() / narrow.norm()).item() == pytest.approx(4, rel=0.05)
    torch.testing.assert_close(narrow, expected, rtol=0.05, atol=0)


@pytest.mark.parametrize("sigma", [1e-3, 0.05])
@pytest.mark.parametrize("threshold", [0.01, 1.0])
def test_the_rule_holds_however_little_noise_there_is(sigma, threshold):
    limit = threshold * sigma
    gate = noise([0.5 * limit, 2 * limit, -2 * limit], sigma, threshold=threshold)
    assert gate.kept().tolist() == [False, True, False]


def losses(sigma):
    m = method(5.0, sigma=sigma)
    gated = m.gated(lenet(), TOY)
    gated.gates["conv2"].begin()
    x, y = TOY.train.batch(slice(0, 8))
    loss = nn.functional.cross_entropy
    with torch.no_grad():
        torch.manual_seed(1)
        noisy = loss(gated.train()(x), y) + m.strength(24) * gated.penalty()
        plain = loss(lenet()(x), y) + 5 / 24 * 50 * 0.5 * math.log1p(1 / (sigma**2 + EPSILON))
    return noisy.item(), plain.item()


def test_with_hardly_any_noise_a_stage_has_the_plain_loss_and_the_penalty():
    noisy, plain = losses(1e-3)
    assert noisy == pytest.approx(plain, abs=1e-3)
    assert abs(losses(1.0)[0] - losses(1.0)[1]) > 1e-2


# Bad input


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sigma": 0.0}, r"`sigma` must be a number in \[0.001, 1\]; got 0.0"),
        ({"sigma": -0.1}, r"`sigma` must be a number in \[0.001, 1\]; got -0.1"),
        ({"sigma": 1e-4}, r"`sigma` must be a number in \[0.001, 1\]; got 0.0001"),
        ({"beta": -1.0}, r"`beta` must be a number >= 0, or such numbers by name"),
        ({"beta": {}}, r"`beta` must be a number >= 0, or such numbers by name"),
        ({"threshold": math.nan}, r"`threshold` must be a number >= 0; got nan"),
        ({"prior": "cauchy"}, r"`prior` must be one of dirac, l2, laplace, log-uniform"),
        ({"order": "backward"}, r"`order` must be one of forward, reverse, together"),
        ({"order": ()}, r"`order` must be one of forward, reverse, together"),
        ({"spatial": 1}, r"`spatial` must be "),
        ({"dead": "go on"}, r"`dead` must be one of stop, keep one"),
    ],
)
def test_bad_fields_are_refused_in_one_line(fields, message):
    with pytest.raises((ValueError, TypeError), match=f"^RecursiveBayesian: {message}") as error:
        method(**fields)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("order", [("conv1", "conv2"), (*NAMES, "fc1"), ("conv1", "conv2", "fc2")])
def test_an_order_that_is_no_permutation_of_the_layers_is_refused(order):
    net = lenet()
    before, weights = traces(net), state(net)
    message = r"^RecursiveBayesian: `order` must be one of forward, .* conv1, conv2, fc1 once; got"
    with pytest.raises(ValueError, match=message):
        run(method(order=order), net)
    assert traces(net) == before
    assert all(torch.equal(tensor, weights[name]) for name, tensor in state(net).items())


def test_a_network_without_channels_to_gate_is_refused():
    with pytest.raises(ValueError, match=r"^gates: `net` has no layer whose units can be gated"):
        run(method(), nn.Sequential(nn.Flatten(), nn.Linear(784, 3)))
    with pytest.raises(ValueError, match=r"^RecursiveBayesian: `beta` must name every gated place"):
        run(method({"conv1": 1.0}))
    with pytest.raises(TypeError, match=r"^RecursiveBayesian: `finetune` must be a Budget"):
        method(finetune=3)
    run(method(), network(size=28))

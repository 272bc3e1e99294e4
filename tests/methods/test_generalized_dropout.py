"""Bernoulli gates against torch's distributions, and generalized dropout on real digits."""

import copy

import pytest
import torch
from torch.distributions import Bernoulli, Beta

from prunelab import data, models, surgery
from prunelab.groups import trace
from prunelab.methods import GeneralizedDropout
from prunelab.methods.gating.places import GatePlace
from prunelab.train import Budget, evaluate

ADAM = Budget(epochs=10, lr=1e-3, batch=32, optimizer="adam", weight_decay=0)
P = torch.tensor([0.01, 0.3, 0.5, 0.8, 0.99])
DRAWS = 100_000


def method(b=2.0, **options):
    return GeneralizedDropout(b, **({"budget": ADAM, "rate": 5.0} | options))


def gate_of(p, rate=1.0, **options):
    gate = method(rate=rate, **options).gate(GatePlace("a", len(p), -1, 1, 7))
    with torch.no_grad():
        gate.p.copy_(p / rate)
    return gate


@pytest.mark.parametrize("rate", [1.0, 20.0])
def test_draws_are_bernoullis_and_pass_their_gradient_on(rate):
    torch.manual_seed(0)
    gate = gate_of(P, rate)
    z = gate.sample(DRAWS)
    assert set(z.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    error = (z.mean(0) - P).abs() / Bernoulli(P).stddev
    assert error.max() < 5 / DRAWS**0.5
    (z * torch.arange(1.0, 6)).sum().backward()
    assert torch.allclose(gate.p.grad / rate, DRAWS * torch.arange(1.0, 6), rtol=1e-4)


@pytest.mark.parametrize(("a", "b"), [(1.0, 5.0), (0.2, 0.7), (3.0, 40.0)])
def test_the_penalty_is_the_priors_density_but_for_a_constant(a, b):
    prior = Beta(torch.tensor(a), torch.tensor(b))
    other = P.flip(0).clamp(0.2, 0.7)
    found = gate_of(P, a=a, b=b).penalty() - gate_of(other, a=a, b=b).penalty()
    assert torch.allclose(found, prior.log_prob(other).sum() - prior.log_prob(P).sum(), rtol=1e-5)


def test_units_with_a_probability_above_a_half_stay_and_are_scaled_by_it():
    gate = gate_of(P).eval()
    assert gate.kept().tolist() == [False, False, False, True, True]
    assert torch.equal(gate(torch.ones(2, 5)), (P * (P > 0.5)).expand(2, 5))


@pytest.mark.parametrize("rate", [1.0, 20.0])
def test_probabilities_stay_where_their_logarithms_are_finite(rate):
    gate = gate_of(torch.tensor([-3.0, 0.4, 1.7]), rate)
    gate.bound()
    assert torch.allclose(gate.mean(), torch.tensor([0.001, 0.4, 0.999]))
    assert gate.penalty().isfinite()


@pytest.fixture(scope="module")
def trained():
    digits = data.load("digits")
    torch.manual_seed(0)
    return digits, models.build("lenet-300-100", in_channels=1)


def test_a_larger_b_leaves_fewer_units_of_a_network_that_still_reads_digits(trained):
    digits, start = trained
    left = []
    for b in (1.2, 3.0):
        net = copy.deepcopy(start)
        keep = method(b).prune(net, digits, progress=False)
        small = surgery.shrink(net, trace(net, digits.example), keep)
        assert evaluate(small, digits.test).accuracy > 0.85
        left.append(sum(int(units.sum()) for units in keep.values()))
    assert left[1] < 0.8 * left[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"b": 0.0}, "`b` must be a number > 0; got 0.0"),
        ({"a": -1.0}, "`a` must be a number > 0; got -1.0"),
        ({"start": 1.0}, r"`start` must be a number in \[0.01, 0.99\]; got 1.0"),
    ],
)
def test_another_prior_is_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^GeneralizedDropout: {message}"):
        method(**wrong)

"""Hard concrete gates against sampling and quadrature, and L0 regularisation on real digits."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from helpers.toy import same
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from prunelab.methods.gating.places import GatePlace
from prunelab.methods.hard_concrete import HardConcrete
from prunelab.train import Budget, evaluate

ADAM = Budget(epochs=10, lr=1e-3, batch=32, optimizer="adam", weight_decay=0, schedule="linear",
              milestones=(0.5,))  # fmt: skip
NAMES = ["fc1.inputs", "fc1", "fc2"]
SHAPES = [(2 / 3, (-0.1, 1.1)), (0.3, (-0.1, 1.1)), (1.5, (-0.5, 1.2))]
LOG_A = [-4.0, -1.0, 0.0, 0.7, 3.0]
DRAWS = 100_000


def gate_of(log_a, rate=1.0, weights=7, **options):
    gate = method(rate=rate, **options).gate(GatePlace("a", len(log_a), -1, 1, weights))
    with torch.no_grad():
        gate.log_a.copy_(torch.tensor(log_a) / rate)
    return gate


def method(lam=0.01, epochs=10, **options):
    budget = replace(ADAM, epochs=epochs)
    return HardConcrete(lam, **({"budget": budget, "inputs": ("fc1",), "rate": 20.0} | options))


def more_than(t, log_a, b, limits):
    """P(z > t): z passes t where u passes a point, solved by hand."""
    s = (t - limits[0]) / (limits[1] - limits[0])
    return 1 / (1 + math.exp(b * math.log(s / (1 - s)) - log_a))


# The distribution


@pytest.mark.parametrize(("b", "limits"), SHAPES)
def test_alive_is_the_share_of_draws_that_are_not_zero(b, limits):
    torch.manual_seed(3)
    gate = gate_of(LOG_A, temperature=b, limits=limits)
    z, p = gate.sample(DRAWS), gate.alive()
    assert (p - (z != 0).float().mean(0)).abs().max() < 5 * 0.5 / math.sqrt(DRAWS)
    exact = torch.tensor([more_than(0, a, b, limits) for a in LOG_A])
    assert torch.allclose(p, exact, atol=1e-6)


@pytest.mark.parametrize(("b", "limits"), SHAPES)
def test_draws_have_the_mean_and_the_share_of_ones_of_the_distribution(b, limits):
    torch.manual_seed(4)
    z = gate_of(LOG_A, temperature=b, limits=limits).sample(DRAWS)
    for number, a in enumerate(LOG_A):
        draws, noise = z[:, number], 5 * 0.5 / math.sqrt(DRAWS)  # no spread in [0, 1] passes 1/2
        mean = quad(more_than, 0, 1, (a, b, limits))[0]  # of a variable in [0, 1]
        assert draws.mean().item() == pytest.approx(mean, abs=noise)
        ones = (draws == 1).float().mean().item()
        assert ones == pytest.approx(more_than(1, a, b, limits), abs=noise)


def test_images_and_units_are_drawn_apart():
    torch.manual_seed(5)
    z = gate_of([0.0] * 40).sample(50)
    assert z.shape == (50, 40)
    assert not (z == z[:1]).all(0).any() and not (z == z[:, :1]).all(1).any()


@pytest.mark.parametrize(("b", "limits"), SHAPES)
def test_in_evaluation_the_factor_is_the_stretched_probability(b, limits):
    gate = gate_of(LOG_A, temperature=b, limits=limits).eval()
    low, high = limits
    expected = [min(1, max(0, (high - low) / (1 + math.exp(-a)) + low)) for a in LOG_A]
    assert gate.mean().tolist() == pytest.approx(expected, abs=1e-6)
    x = torch.randn(6, 5)
    assert torch.equal(gate(x), x * gate.mean())
    assert gate.kept().tolist() == [v > 0 for v in expected]


def test_a_test_gate_of_exactly_zero_is_not_kept():
    gate = gate_of([-1e-6, 0.0, 1e-6], limits=(-1.5, 1.5))  # sigmoid(0) 3 - 1.5 = 0
    assert gate.mean()[1] == 0
    assert gate.kept().tolist() == [False, False, True]


# Penalty, gradients, start


def test_the_penalty_is_the_price_of_the_weights_expected_to_be_left():
    gate = gate_of(LOG_A, lam=0.3, weights=26)
    expected = sum(0.3 * 26 * more_than(0, a, 2 / 3, (-0.1, 1.1)) for a in LOG_A)
    assert gate.penalty().item() == pytest.approx(expected, rel=1e-6)


@settings(deadline=None)
@given(
    log_a=st.floats(-200, 200), b=st.floats(0.01, 10), low=st.floats(-5, -1e-3),
    high=st.floats(1.001, 5), seed=st.integers(0, 1000),
)  # fmt: skip
def test_draws_stay_in_their_interval_and_gradients_are_finite(log_a, b, low, high, seed):
    torch.manual_seed(seed)
    gate = gate_of([log_a] * 3, temperature=b, limits=(low, high), rate=3.0)
    z = gate(torch.ones(100, 3))
    assert bool(((z >= 0) & (z <= 1)).all())
    (z.sum() + gate.penalty() + gate.mean().sum()).backward()
    assert bool(gate.log_a.grad.isfinite().all())


@pytest.mark.parametrize("rate", [1.0, 20.0])
def test_log_a_is_brought_back_within_log_100_and_has_slopes_there(rate):
    gate = gate_of([-9.0, -4.6, 0.0, 9.0], rate)
    gate.train()(torch.ones(1, 4))
    assert gate.value("log_a").tolist() == pytest.approx([-9.0, -4.6, 0.0, 9.0], rel=1e-6)
    gate.bound()
    bound = math.log(100)
    assert gate.value("log_a").tolist() == pytest.approx([-bound, -4.6, 0, bound], rel=1e-6)
    gate.penalty().backward()
    assert bool((gate.log_a.grad > 0).all())


@pytest.mark.parametrize("start", [0.2, 0.5, 0.8])
def test_log_a_starts_around_the_probability_given(start):
    torch.manual_seed(6)
    gate = method(start=start).gate(GatePlace("a", 2000, -1, 1, 1))
    spread, mean = torch.std_mean(gate.value("log_a"))
    assert mean.item() == pytest.approx(math.log(start / (1 - start)), abs=0.002)
    assert spread.item() == pytest.approx(0.01, rel=0.1)


# The method


def run(trained, digits, how, **options):
    net = deepcopy(trained)
    return net, how.run(net, digits, progress=False, **options)


@pytest.fixture(scope="module")
def pruned(trained, digits):
    return run(trained, digits, method())


def test_pixels_and_units_are_removed_and_digits_still_read(pruned, digits):
    net, done = pruned
    widths = done.keep.widths()  # measured: 342, 243, 82
    assert list(widths) == NAMES
    assert widths["fc1.inputs"] < 600 and widths["fc1"] < 280 and widths["fc2"] < 95
    assert evaluate(net, digits.test).accuracy > 0.94
    assert done.history[0].last["test_accuracy"] == evaluate(net, digits.test).accuracy


def test_free_weights_are_all_kept(trained, digits):
    net, done = run(trained, digits, method(0.0, epochs=1))
    assert all(kept.all() for kept in done.keep.values())
    assert not same(net, trained)


def test_only_places_with_a_price_lose_units(trained, digits):
    _, done = run(trained, digits, method({"fc1.inputs": 0, "fc1": 0.0, "fc2": 3.0}, epochs=6))
    widths = done.keep.widths()
    assert widths["fc1.inputs"] == 784 and widths["fc1"] == 300 and widths["fc2"] < 85


def test_prices_and_starts_by_place_reach_their_gates(trained, digits):
    lam, start = dict(zip(NAMES, (0.1, 0.02, 3.0))), dict(zip(NAMES, (0.8, 0.5, 0.3)))
    gated = method(lam, start=start).gated(trained, digits)
    weights, expected = {"fc1.inputs": 300, "fc1": 100, "fc2": 10}, 0.0
    for name in NAMES:
        log_a = gated.gates[name].value("log_a").tolist()
        begin = math.log(start[name] / (1 - start[name]))
        assert sum(log_a) / len(log_a) == pytest.approx(begin, abs=0.005)
        alive = sum(more_than(0, a, 2 / 3, (-0.1, 1.1)) for a in log_a)
        expected += lam[name] * weights[name] * alive
    assert gated.penalty().item() == pytest.approx(expected, rel=1e-5)
    assert method().strength(1257) == 1 / 1257


def test_temperature_and_limits_reach_the_gates(trained, digits):
    gated = method(temperature=0.5, limits=(-0.3, 1.4)).gated(trained, digits)
    for gate in gated.gates.values():
        assert (gate.temperature, gate.low, gate.high) == (0.5, -0.3, 1.4)


# What is refused

WHOLE = dict.fromkeys(NAMES, 0.1)


@pytest.mark.parametrize("field", ["lam", "start"])
def test_names_that_do_not_fit_the_gated_places_are_refused(field, trained, digits):
    net = deepcopy(trained)
    good = {"lam": 0.1, "start": 0.5}
    missing = {k: 0.1 for k in NAMES if k != "fc1"}
    message = rf"^HardConcrete: `{field}` must name every gated place, .*; `fc1` is missing in {{"
    with pytest.raises(ValueError, match=message):
        method(**(good | {field: missing})).run(net, digits, progress=False)
    message = rf"^HardConcrete: `{field}` names 'fc9', .* one of fc1.inputs, fc1, fc2$"
    with pytest.raises(ValueError, match=message):
        method(**(good | {field: WHOLE | {"fc9": 0.1}})).run(net, digits, progress=False)
    assert same(net, trained)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("lam", [-0.1, math.nan, math.inf, "1", None, True, {"fc1": -1}, {"fc1": None}]),
        ("start", [0, 1, 0.001, math.nan, "a", None, {"fc1": 1.0}]),
        ("temperature", [0, -1, math.nan, math.inf, "a", None, True, {"fc1": 0.5}]),
        ("limits", [(0, 1), (-0.1, 1), (0, 1.1), (-0.1,), (1.1, -0.1), None, 3, "ab", (-1, "2"),
                    (-math.inf, 2)]),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_when_the_method_is_made(field, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"^HardConcrete: `{field}` must be .* got "):
            method(**{field: value})

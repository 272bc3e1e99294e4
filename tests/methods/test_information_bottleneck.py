"""VIBNet: the penalty against its derivation, the rule, and what runs on real digits leave."""

import math
from dataclasses import replace

import pytest
import torch
from helpers.pruning import batch, difference
from helpers.real_data import real
from helpers.toy import dataset, network
from scipy.optimize import minimize_scalar
from torch.distributions import Normal, kl_divergence

from prunelab import cost, surgery
from prunelab.data import load
from prunelab.groups import trace
from prunelab.methods import InformationBottleneck
from prunelab.methods.gating.places import GatePlace
from prunelab.models import build
from prunelab.train import Budget, evaluate

ADAM = Budget(epochs=1, lr=1e-3, batch=8, optimizer="adam", weight_decay=0)  # 6 steps, on DATA
DATA = dataset()


def method(kl=0.0, budget=ADAM, **options):
    return InformationBottleneck(kl, budget=budget, **options)


def run(m, seed=0, net=None, **options):
    net = net or network()
    return net, m.run(net, DATA, seed=seed, progress=False, **options)


def gate(mu, log_var, side=1):
    """In double precision, with these parameters."""
    mu, log_var = (torch.as_tensor(v, dtype=torch.float64) for v in (mu, log_var))
    found = method(1.0).gate(GatePlace("a", len(mu), 1, side, 1)).double()
    with torch.no_grad():
        found.mu.copy_(mu)
        found.log_var.copy_(log_var)
    return found


# The gate


@pytest.mark.parametrize("spread", [0.3, 1.5])
@pytest.mark.parametrize(("mu", "sigma"), [(1.0, 0.01), (0.8, 0.6), (0.1, 1.0), (-2.0, 0.5)])
def test_the_penalty_is_the_divergence_from_the_best_prior_up_to_what_no_gate_can_change(
    mu, sigma, spread
):
    """2 inf_xi E KL[N(f mu, f^2 sigma^2) || N(0, xi)] = log(1 + mu^2 / sigma^2) + psi."""
    torch.manual_seed(0)
    f = (spread * torch.randn(20_000, dtype=torch.float64)).exp()  # activations, all positive

    def divergence(log_xi):
        prior = Normal(torch.zeros(()).double(), math.exp(log_xi / 2))
        return kl_divergence(Normal(f * mu, f * sigma), prior).mean().item()

    best = minimize_scalar(divergence, bounds=(-20, 20), method="bounded", options={"xatol": 1e-9})
    psi = (f.square().mean().log() - f.square().log().mean()).item()
    ours = gate([mu], [2 * math.log(sigma)]).penalty().item()
    assert 2 * best.fun == pytest.approx(2 * ours + psi, rel=1e-3)
    assert psi > 0.1
    xi = (mu**2 + sigma**2) * f.square().mean().item()  # and the best prior is the paper's
    assert math.exp(best.x) == pytest.approx(xi, rel=1e-3)


def test_the_penalty_adds_up_over_units_and_counts_the_side_of_a_map():
    mu, log_var = [1.0, 0.5, -0.2], [-9.0, -1.0, 1.0]
    one = sum(0.5 * math.log1p(m * m / math.exp(v)) for m, v in zip(mu, log_var))
    for side in (1, 8, 24):
        assert gate(mu, log_var, side).penalty().item() == pytest.approx(side * one, rel=1e-4)


def test_the_gradients_of_the_penalty_are_those_of_finite_differences():
    mu, log_var, side, h = [1.0, 0.5, -0.2, 0.0], [-9.0, -1.0, 1.0, 0.3], 3, 1e-6
    found = gate(mu, log_var, side)
    found.penalty().backward()
    for name, values in (("mu", mu), ("log_var", log_var)):
        slopes = []
        for unit in range(len(values)):
            ends = []
            for step in (h, -h):
                moved = {"mu": list(mu), "log_var": list(log_var)}
                moved[name][unit] += step
                ends.append(gate(**moved, side=side).penalty().item())
            slopes.append((ends[0] - ends[1]) / (2 * h))
        assert getattr(found, name).grad.tolist() == pytest.approx(slopes, rel=1e-5, abs=1e-6)


def test_noise_has_the_mean_and_the_deviation_of_the_gate_and_their_gradients():
    torch.manual_seed(0)
    mu, log_var = torch.tensor([1.0, -0.3, 2.0]), torch.tensor([-2.0, 1.0, -9.0])
    found = gate(mu, log_var)
    drawn = found.sample(100_000)
    sigma = (log_var / 2).exp().double()
    assert drawn.shape == (100_000, 3)
    torch.testing.assert_close(drawn.mean(0), mu.double(), rtol=0, atol=0.02)
    torch.testing.assert_close(drawn.std(0), sigma, rtol=0.02, atol=0)
    drawn.sum().backward()
    eps = (drawn.detach() - mu) / sigma
    assert torch.allclose(found.mu.grad, torch.full((3,), 1e5).double())
    assert torch.allclose(found.log_var.grad, (eps * sigma / 2).sum(0))
    assert torch.equal(found.eval()(torch.ones(2, 3)), torch.stack([found.factor()] * 2))


def test_a_unit_stays_while_its_mean_is_positive_and_larger_than_its_deviation():
    mu = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.5, -1.0, -5.0, 0.0, 0.0, 2.0])
    sigma = torch.tensor([1.0, 0.99, 1.01, 0.49, 0.51, 0.1, 0.1, 0.1, 1e-6, 1.9])
    found = method(1.0).gate(GatePlace("a", 10, 1, 1, 1))
    with torch.no_grad():
        found.mu.copy_(mu)
        found.log_var.copy_(2 * sigma.log())
    kept = [False, True, False, True, False, False, False, False, False, True]  # 1 = 1 goes
    assert found.kept().tolist() == kept
    assert torch.equal(found.factor(), mu * torch.tensor(kept))
    assert (found.log_ratio()[:7] - (2 * (sigma / mu.abs()).log())[:7]).abs().max() < 1e-5


def test_gates_start_around_1_with_little_noise():
    torch.manual_seed(3)
    found = method(rate=20, log_var=-6.0).gate(GatePlace("a", 40_000, 1, 1, 1))
    for values, centre in ((found.mean(), 1), (found.value("log_var"), -6)):
        assert values.mean().item() == pytest.approx(centre, abs=1e-3)
        assert values.std().item() == pytest.approx(0.01, rel=0.02)
    assert found.kept().all()
    assert not torch.equal(found.mean() - 1, found.value("log_var") + 6)


# The objective


def test_convolutions_weigh_with_the_sides_of_their_maps_and_units_with_1():
    gated = method(1.0, inputs=("fc1",)).gated(build("lenet-5"), torch.zeros(2, 1, 28, 28))
    with torch.no_grad():
        for g in gated.gates.values():
            g.mu.fill_(1)
            g.log_var.fill_(-2)
    one = 0.5 * math.log1p(math.exp(2))
    units = {"conv1": 20 * 24, "conv2": 50 * 8, "fc1.inputs": 800, "fc1": 500}
    found = {name: g.penalty().item() for name, g in gated.gates.items()}
    assert found == pytest.approx({name: n * one for name, n in units.items()}, rel=1e-5)
    assert gated.penalty().item() == pytest.approx(sum(units.values()) * one, rel=1e-5)


def test_a_strength_by_place_weighs_its_place_alone():
    by_place = {"conv1": 0.5, "conv2": 0.0, "fc1.inputs": 2.0, "fc1": 3.0}
    net, x = build("lenet-5"), torch.zeros(2, 1, 28, 28)
    one, own = (method(kl, inputs=("fc1",)).gated(net, x).gates for kl in (1.0, by_place))
    for name, kl in by_place.items():
        expected = kl * one[name].penalty().item()
        assert own[name].penalty().item() == pytest.approx(expected, rel=1e-5)


def test_strengths_that_do_not_fit_the_places_are_refused():
    net, x = build("lenet-300-100"), torch.zeros(2, 1, 28, 28)
    with pytest.raises(
        ValueError, match=r"^InformationBottleneck: `kl` must name every gated place"
    ):
        method({"fc1": 1e-4}).gated(net, x)
    with pytest.raises(ValueError, match=r"^InformationBottleneck: `kl` names 'fc3', which has no"):
        method({"fc1": 1e-4, "fc2": 1e-4, "fc3": 1e-4}).gated(net, x)


@pytest.mark.parametrize(
    ("ramp", "epochs", "shares"),
    [
        (0, 1, [1] * 6),
        (1.0, 1, [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6]),
        (0.5, 1, [0, 1 / 3, 2 / 3, 1, 1, 1]),
        (0.5, 2, [k / 6 for k in range(6)] + [1] * 6),
        (0.1, 1, [0] + [1] * 5),
    ],
)
def test_the_penalty_beside_the_mean_loss_is_kl_times_the_sum_and_grows_with_the_ramp(
    ramp, epochs, shares
):
    still = replace(ADAM, lr=1e-12, epochs=epochs)  # so the penalty stays as it is
    whole = []
    _, without = run(method(0, still, ramp=ramp))
    weighed = method(0.125, still, ramp=ramp)
    _, found = run(weighed, watch=lambda t, g: whole.append(g.penalty().item()))
    losses = [[row["loss"] for row in r.history[0].rows] for r in (without, found)]
    added = [more - less for less, more in zip(*losses)]
    by_epoch = [sum(shares[6 * k : 6 * k + 6]) / 6 for k in range(epochs)]
    assert added == pytest.approx([whole[0] * s for s in by_epoch], rel=1e-4)


def test_a_rate_makes_the_gates_learn_faster_and_the_weights_as_before():
    moved = {}
    for rate in (1.0, 20.0):
        net, seen = network(), []
        start = net[5].weight.detach().clone()

        def watch(done, gated, seen=seen):
            g = gated.gates["0"]
            seen.append((g.mean().detach().clone(), g.value("log_var").detach().clone()))

        one_step = replace(ADAM, batch=45)
        # a large KL, so that no slope is near 0, where Adam's epsilon counts
        run(method(10.0, one_step, rate=rate), net=net, watch=watch)
        for number, sign in ((0, -1), (1, 1)):  # means fall, noise grows
            step = seen[1][number] - seen[0][number]
            assert step.tolist() == pytest.approx([sign * rate * 1e-3] * 4, rel=1e-2)
        unfolded = net[5].weight.detach() / seen[1][0].repeat_interleave(36)
        moved[rate] = (unfolded - start).abs()
    for step in moved.values():  # Adam's first step is one learning rate for every weight
        assert step.median().item() == pytest.approx(1e-3, rel=1e-2)


# Runs


def test_without_penalty_nothing_is_pruned():
    _, found = run(method(0.0, replace(ADAM, epochs=5), rate=20, inputs=("0", "5")))
    assert all(kept.all() for kept in found.keep.values())
    assert found.keep.widths() == {"0.inputs": 1, "0": 4, "5.inputs": 144}


STRONG = {"kl": 1e3, "budget": replace(ADAM, epochs=20), "rate": 50.0}


def test_a_large_penalty_stops_the_run_with_the_name_of_the_place():
    seen = []
    message = (
        r"^InformationBottleneck: none of the 4 units of `0` is left after (\d+) steps;"
        r" make the penalty weaker, or dead='keep one'$"
    )
    with pytest.raises(RuntimeError, match=message) as caught:
        run(method(**STRONG), watch=lambda done, gated: seen.append(done))
    steps = int(str(caught.value).split("after ")[1].split()[0])
    assert steps == seen[-1] + 6 < 120


@pytest.mark.parametrize("inputs", [(), ("5",)], ids=["units", "units and inputs"])
@pytest.mark.parametrize("seed", range(4))
def test_a_large_penalty_keeps_one_where_asked_and_gives_no_nan(seed, inputs):
    net, found = run(method(**STRONG, dead="keep one", inputs=inputs), seed)
    assert set(found.keep.widths().values()) == {1}
    assert all(p.isfinite().all() for p in net.parameters())
    assert all(math.isfinite(row["loss"]) for row in found.history[0].rows)
    groups = trace(net, DATA.example)
    small = surgery.shrink(net, groups, found.keep)  # a place and its inputs have one in common
    assert (small[0].out_channels, small[5].in_features) == (1, 1 if inputs else 36)
    evaluate(small, DATA.test)


def test_inputs_whose_writer_is_removed_are_not_counted():
    _, found = run(method(**STRONG, dead="keep one", inputs=("5",)))
    channel = found.keep["0"].repeat_interleave(36)
    assert not (found.keep["5.inputs"] & ~channel).any()
    gated = method(inputs=("5",)).gated(network(), DATA.example)
    with torch.no_grad():
        gated.gates["0"].mu[2] = -1
        gated.gates["5.inputs"].mu[5] = -1
    kept = gated.kept()
    assert kept["0"].tolist() == [True, True, False, True]
    gone = [5, *range(72, 108)]
    assert (~kept["5.inputs"]).nonzero()[:, 0].tolist() == gone


HALF = {
    "kl": 5e-3, "budget": replace(ADAM, epochs=4), "rate": 50.0, "inputs": ("5",), "log_var": -3.0,
}  # fmt: skip


def until(stop):
    def watch(done, gated):
        if done == stop:
            raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize(("stop", "ramp"), [(0, 0.0), (12, 0.7), (24, 0.0)])
def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(tmp_path, stop, ramp):
    m, path = method(**HALF, ramp=ramp), tmp_path / "runs" / "gates"
    whole, expected = run(m, seed=2)
    with pytest.raises(KeyboardInterrupt):
        run(m, seed=2, checkpoint=path, watch=until(stop))
    seen = []
    net, found = run(m, seed=2, checkpoint=path, watch=lambda done, gated: seen.append(done))
    done = stop if stop > 6 else 0  # what was interrupted was not on disk, the epochs before were
    assert seen == [n for n in (0, 6, 12, 18, 24) if n >= done]
    assert found.keep == expected.keep and found.history[0].rows == expected.history[0].rows
    a, b = net.state_dict(), whole.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    net, third = run(m, seed=2, checkpoint=path, watch=until(0))  # all is done: nothing is trained
    assert third.keep == expected.keep
    assert all(torch.equal(v, b[k]) for k, v in net.state_dict().items())


def test_accuracies_of_the_history_are_those_of_the_network_that_is_left():
    net, found = run(method(**HALF))
    assert found.history[0].last["test_accuracy"] == evaluate(net, DATA.test).accuracy
    assert found.history[0].last["val_accuracy"] == evaluate(net, DATA.val).accuracy


# On real digits


def pruned(name, data, m, seed=0):
    torch.manual_seed(seed)
    net = build(name)
    keep = m.prune(net, data, seed=seed, progress=False)
    net, x = net.double().eval(), batch(1, 28, 28)
    groups = trace(net, x)
    small = surgery.shrink(net, groups, keep)
    with torch.no_grad():  # the network that was trained is its own mask
        assert difference(small(x), net(x)) < 1e-9
        assert difference(small(x), surgery.masked(net, groups, keep)(x)) < 1e-9
    return keep.widths(), small.float(), cost.measure(small, x.float())


@pytest.mark.parametrize(
    ("name", "epochs", "most", "weights"),
    [
        # measured with seeds 0, 1, 2: 50-51-51, 39-55-51, 46-55-49 at 95.3, 95.0, 95.8%
        ("lenet-300-100", 10, {"fc1.inputs": 90, "fc1": 90, "fc2": 75}, 16_000),
        # 1-4-26-72, 2-6-48-65, 2-6-39-75 at 94.7, 95.3, 95.3%
        ("lenet-5", 6, {"conv1": 5, "conv2": 12, "fc1.inputs": 90, "fc1": 120}, 12_000),
    ],
)
def test_on_digits_it_leaves_a_small_network_that_still_reads(name, epochs, most, weights):
    data = load("digits")
    budget = Budget(epochs, 1e-3, 64, optimizer="adam", weight_decay=0)
    m = InformationBottleneck(3e-3, budget=budget, rate=20, inputs=("fc1",))
    widths, small, found = pruned(name, data, m)
    assert widths.keys() == most.keys()
    assert all(0 < widths[place] <= most[place] for place in most)
    assert found.weights < weights
    assert evaluate(small, data.test).accuracy > 0.90


@pytest.mark.slow
def test_on_mnist_two_epochs_from_random_weights_leave_half_of_the_pixels():
    data = real("mnist")
    budget = Budget(2, 1e-3, 100, optimizer="adam", weight_decay=0)
    m = InformationBottleneck(5e-4, budget=budget, inputs=("fc1",))
    widths, small, _ = pruned("lenet-300-100", data, m)  # measured: 429-289-91 at 97.4%
    assert widths["fc1.inputs"] < 500
    assert widths["fc1"] < 300 and widths["fc2"] < 100
    assert evaluate(small, data.test).accuracy > 0.965


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("kl", -1e-4, "a number >= 0"), ("kl", math.inf, "a number >= 0"),
        ("kl", math.nan, "a number >= 0"), ("kl", "0.1", "a number >= 0"),
        ("kl", True, "a number >= 0"), ("kl", None, "a number >= 0"),
        ("log_var", -31, r"a number in \[-30, 5\]"), ("log_var", 5.1, r"a number in \[-30, 5\]"),
        ("log_var", math.nan, r"a number in \[-30, 5\]"),
        ("ramp", -0.1, r"a number in \[0, 1\]"), ("ramp", 1.1, r"a number in \[0, 1\]"),
        ("ramp", math.nan, r"a number in \[0, 1\]"),
        ("rate", 0, "a number > 0"), ("rate", -1, "a number > 0"),
        ("rate", math.inf, "a number > 0"), ("rate", "fast", "a number > 0"),
        ("dead", "go", "one of stop, keep one"), ("dead", None, "one of stop, keep one"),
        ("inputs", "fc1", "names of layers"), ("inputs", None, "names of layers"),
        ("inputs", (1,), "names of layers"), ("inputs", {"fc1": 1}, "names of layers"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_in_one_line(field, value, allowed):
    with pytest.raises(
        ValueError, match=rf"^InformationBottleneck: `{field}` must be {allowed}.*[;,] got"
    ):
        InformationBottleneck(**({"kl": 1e-4, "budget": ADAM} | {field: value}))


@pytest.mark.parametrize("budget", [None, {"epochs": 1}, 3])
def test_a_budget_must_be_a_budget(budget):
    with pytest.raises(TypeError, match=r"^InformationBottleneck: `budget` must be a Budget; got "):
        InformationBottleneck(1e-4, budget=budget)

"""Variational dropout: its numbers, and runs on digits and from outside."""

import math

import pytest
import torch
from helpers.every_method import traces
from helpers.gating import check_shrunk
from helpers.pruning import batch, ready
from helpers.toy import dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from prunelab import surgery
from prunelab.data import load
from prunelab.groups import trace
from prunelab.methods.gating.noisy_weights import log_uniform_kl
from prunelab.methods.variational_dropout import VariationalDropout
from prunelab.models import build
from prunelab.train import Budget, evaluate

SHORT = Budget(epochs=3, lr=1e-3, batch=8, optimizer="adam", weight_decay=0)
DATA = dataset()


def method(budget=SHORT, **options):
    return VariationalDropout(budget=budget, **options)


def sparse(weights, log_vars, threshold=3.0):
    layer = method(threshold=threshold).noise(nn.Linear(len(weights), 1))
    with torch.no_grad():
        layer.layer.weight.copy_(torch.tensor([weights]))
        layer.log_vars["weight"].copy_(torch.tensor([log_vars]))
    return layer


def test_log_alpha_is_the_log_ratio_of_noise_and_signal_within_8():
    weights, log_vars = [2.0, -0.1, 1e-3, 0.0, 5.0], [-3.0, -1.0, 0.0, -2.0, -10.0]
    expected = [v - 2 * math.log(abs(w)) if w else math.inf for w, v in zip(weights, log_vars)]
    expected = [max(-8, min(8, v)) for v in expected]
    assert sparse(weights, log_vars).log_alpha()[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert expected[2:] == [8, 8, -8]


def test_weights_above_the_threshold_are_left_out_of_the_mean_but_not_of_training():
    layer = sparse([1.0, 1.0, -2.0], [2.9, 3.1, -40.0])
    assert layer.kept().tolist() == [[True, False, True]]
    x = torch.tensor([[10.0, 20.0, 30.0]])
    n, bias = 40_000, float(layer.layer.bias.detach())
    with torch.no_grad():
        assert float(layer.eval()(x)) == pytest.approx(10 - 60 + bias)
        y = layer.train()(x.expand(n, 3)) - bias
    assert float(y.mean()) == pytest.approx(-30, abs=5 * float(y.std()) / math.sqrt(n))
    spread = math.sqrt(100 * math.exp(2.9) + 400 * math.exp(3.1))
    assert float(y.std()) == pytest.approx(spread, rel=5 / math.sqrt(2 * n))
    assert sparse([1.0], [1.5], threshold=1.5).kept().all()  # at the threshold it stays
    assert not sparse([1.0], [1.5], threshold=1.4).kept().any()


def test_the_penalty_is_the_kl_of_all_weights_over_the_number_of_images():
    torch.manual_seed(0)
    net = ready(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    gated = method(log_var=-4.0).gated(net, batch(6))
    expected = 0
    for layer in (net[0], net[2]):
        for w in layer.weight.flatten().tolist():
            alpha = max(-8, min(8, -4 - 2 * math.log(abs(w))))
            expected += log_uniform_kl(torch.tensor(alpha, dtype=torch.float64)).item()
    assert gated.penalty().item() == pytest.approx(expected)
    assert method().strength(250) == 1 / 250


@settings(deadline=None, max_examples=60)
@given(st.floats(-60, 30), st.sampled_from([0.0, 1e-30, 1e-10, 1e-4, 1.0, 1e6]))
def test_gradients_of_the_penalty_are_finite_everywhere(log_var, weight):
    layer = sparse([weight, -weight], [log_var, log_var])
    layer.penalty().backward()
    assert torch.isfinite(layer.penalty())
    assert torch.isfinite(layer.layer.weight.grad).all()
    assert torch.isfinite(layer.log_vars["weight"].grad).all()


@pytest.fixture(scope="module")
def digits():
    """A LeNet-300-100 pruned from random weights: (network, its traces before, run, course)."""
    torch.manual_seed(0)
    net, course = build("lenet-300-100"), []
    budget = Budget(epochs=12, lr=4e-3, batch=64, optimizer="adam", weight_decay=0,
                    schedule="linear", milestones=(0.5,))  # fmt: skip

    def watch(done, gated):
        weights = sum(int(layer.kept().sum()) for layer in gated.noisy.values())
        course.append((done, {n: int(k.sum()) for n, k in gated.kept().items()}, weights))

    made, before = method(budget, ramp=0.5, inputs=("fc1",), rate=2.0), traces(net)
    return net, before, made.run(net, load("digits"), progress=False, watch=watch), course


def test_on_digits_all_but_one_weight_of_200_and_most_units_go(digits):
    net, _, run, course = digits
    weights = sum(int((layer.weight != 0).sum()) for layer in net.children())
    assert 400 < weights < 266_200 / 200  # measured: 818
    sizes = {"fc1.inputs": 784, "fc1": 300, "fc2": 100}
    assert list(run.keep) == list(sizes)
    for name, share in (("fc1.inputs", 0.5), ("fc1", 0.25), ("fc2", 0.8)):
        assert 5 < run.keep.widths()[name] < share * sizes[name]  # measured: 205, 39, 52
    assert evaluate(net, load("digits").test).accuracy > 0.9  # measured: 0.933
    assert [done for done, _, _ in course] == list(range(0, 241, 20))
    assert course[0][1] == sizes and course[-1][1] == run.keep.widths()
    assert course[0][2] > 250_000 and course[-1][2] >= weights


def test_afterwards_the_network_is_plain_and_computes_what_its_shrunk_form_does(digits):
    net, before, run, _ = digits
    data = load("digits")
    assert traces(net) == before
    check_shrunk(net, run.keep, data)
    last = run.history[0].last["test_accuracy"]  # of the mean network, before it was folded
    assert abs(evaluate(net, data.test).accuracy - last) < 1.5 / 360


def small():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6),
        nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


def test_a_place_without_units_stops_the_run_or_keeps_one_that_changes_nothing():
    with pytest.raises(RuntimeError, match="none of the 4 units of `0` is left after 6 steps"):
        method(log_var=5.0).prune(small(), DATA, progress=False)
    net = small()
    made = method(log_var=5.0, dead="keep one")
    keep = made.prune(net, DATA, progress=False)
    assert keep.widths() == {"0": 1, "4": 1}
    x = DATA.example
    shrunk = surgery.shrink(net, trace(net, x), keep)
    with torch.no_grad():
        torch.testing.assert_close(shrunk.eval()(x), net.eval()(x))
        assert (net(x) - net(x)[0]).abs().max() < 1e-6  # the constants of its biases are left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 8.0}, r"`threshold` must be a number in \[-8, 8\); got 8.0"),
        ({"threshold": "3"}, r"`threshold` must be a number in \[-8, 8\); got '3'"),
        ({"threshold": True}, "`threshold` must be a number"),
        ({"log_var": 6}, r"`log_var` must be a number in \[-30, 5\]; got 6"),
        ({"log_var": math.nan}, "`log_var` must be a number"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=f"^VariationalDropout: {message}") as caught:
        method(**options)
    assert "\n" not in str(caught.value)


def test_a_bad_input_name_and_bad_weights_are_refused_before_training():
    with pytest.raises(ValueError, match="`inputs` names 'fc9'; it must be one of 0, 4, 6"):
        method(inputs=("fc9",)).prune(small(), DATA, progress=False)
    net = small()
    net[4].weight.data[0, 0] = math.inf
    with pytest.raises(ValueError, match=r"`4\.weight` holds values that are not finite"):
        method().prune(net, DATA, progress=False)

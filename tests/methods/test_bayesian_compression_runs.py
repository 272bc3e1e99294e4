"""Runs of Bayesian compression: on digits, and from outside."""

import pytest
import torch
from helpers.every_method import traces
from helpers.gating import check_shrunk
from helpers.toy import dataset
from torch import nn

from prunelab import surgery
from prunelab.data import load
from prunelab.groups import trace
from prunelab.methods.bayesian_compression import BayesianCompression
from prunelab.models import build
from prunelab.train import Budget, evaluate

SHORT = Budget(epochs=2, lr=1e-3, batch=8, optimizer="adam", weight_decay=0)
DATA, PRIORS = dataset(), ("jeffreys", "horseshoe")


def method(prior="jeffreys", budget=SHORT, **options):
    return BayesianCompression(prior, budget=budget, **options)


BUDGETS = {
    "jeffreys": Budget(epochs=20, lr=1.2e-3, batch=64, optimizer="adam", weight_decay=0),
    "horseshoe": Budget(epochs=16, lr=1.5e-3, batch=64, optimizer="adam", weight_decay=0),
}
OPTIONS = {
    "jeffreys": {"rate": 4.0},
    "horseshoe": {"rate": 10.0, "ramp": 0.875, "threshold": -1.0},
}
WIDTHS = {  # more than, fewer than; measured: 151, 185, 76 and 219, 48, 20
    "jeffreys": {"fc1.inputs": (20, 392), "fc1": (20, 250), "fc2": (20, 90)},
    "horseshoe": {"fc1.inputs": (20, 392), "fc1": (10, 100), "fc2": (4, 50)},
}
FLOOR = {"jeffreys": 0.95, "horseshoe": 0.8}  # measured: 0.981 and 0.867


@pytest.fixture(scope="module", params=PRIORS)
def digits(request):
    """A LeNet-300-100 from random weights: (prior, network, traces before, run, course)."""
    torch.manual_seed(0)
    prior, net, course = request.param, build("lenet-300-100"), []

    def watch(done, gated):
        course.append({n: int(k.sum()) for n, k in gated.kept().items()})

    made = method(prior, BUDGETS[prior], inputs=("fc1",), **OPTIONS[prior])
    before = traces(net)
    return prior, net, before, made.run(net, load("digits"), progress=False, watch=watch), course


def test_on_digits_units_go_and_the_accuracy_stays(digits):
    prior, net, _, run, course = digits
    for name, (low, high) in WIDTHS[prior].items():
        assert low < run.keep.widths()[name] < high
    assert evaluate(net, load("digits").test).accuracy > FLOOR[prior]
    assert course[0] == {"fc1.inputs": 784, "fc1": 300, "fc2": 100}
    assert course[-1] == run.keep.widths()


def test_afterwards_the_network_is_plain_and_computes_what_its_shrunk_form_does(digits):
    _, net, before, run, _ = digits
    data = load("digits")
    assert traces(net) == before
    check_shrunk(net, run.keep, data)
    with torch.no_grad():
        x = data.test.batch(slice(0, 100))[0]
        assert torch.equal(net(x), net(x))
    last = run.history[0].last["test_accuracy"]  # of means, before they were folded
    assert abs(evaluate(net, data.test).accuracy - last) < 1.5 / 360


def small():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


@pytest.mark.parametrize("prior", PRIORS)
def test_the_weights_left_are_the_means_times_the_factors(prior):
    net, seen = small(), {}

    def watch(done, gated):
        gate = gated.gates["0"]
        with torch.no_grad():
            values = gate.log_ratio() if prior == "jeffreys" else gate.margin() + gate.threshold
            if done == 12:  # the last step: some stay, some go
                gate.threshold = values.median().item()
            seen["factors"] = {name: gate.factor() for name, gate in gated.gates.items()}
            seen["weights"] = {k: v.clone() for k, v in net.state_dict().items()}

    keep = method(prior).run(net, DATA, progress=False, watch=watch).keep
    first = seen["factors"]["0"].repeat_interleave(9)  # 3 x 3 positions behind the pooling
    torch.testing.assert_close(net[5].weight, seen["weights"]["5.weight"] * first)
    torch.testing.assert_close(net[7].weight, seen["weights"]["7.weight"] * seen["factors"]["5"])
    for key in ("0.weight", "0.bias", "5.bias", "7.bias"):
        assert torch.equal(net.state_dict()[key], seen["weights"][key])
    assert keep.widths() == {"0": 1 if prior == "jeffreys" else 2, "5": 6}


@pytest.mark.parametrize(("prior", "threshold"), [("jeffreys", -40.0), ("horseshoe", 9.0)])
def test_a_place_without_units_stops_the_run_or_keeps_one(prior, threshold):
    with pytest.raises(RuntimeError, match="none of the 4 units of `0` is left after 6 steps"):
        method(prior, threshold=threshold).prune(small(), DATA, progress=False)
    net = small()
    made = method(prior, threshold=threshold, dead="keep one")
    keep = made.prune(net, DATA, progress=False)
    assert keep.widths() == {"0": 1, "5": 1}
    shrunk = surgery.shrink(net, trace(net, DATA.example), keep)
    with torch.no_grad():
        torch.testing.assert_close(shrunk.eval()(DATA.example), net.eval()(DATA.example))

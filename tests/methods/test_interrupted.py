"""Whatever breaks a method off, nothing of it is left on the network."""

import pytest
import torch
from test_contract import METHODS, WEIGHTS, setting, traces_left

from prunelab import methods, scores
from prunelab.train import Budget
from prunelab.train.losses import Losses

BUDGET = Budget(epochs=1, lr=0.01, batch=8, optimizer="adam")
GATED = {
    "information bottleneck": methods.InformationBottleneck(1e-4, budget=BUDGET),
    "information bottleneck, narrowing": methods.InformationBottleneck(1e-4, budget=BUDGET, cut=1),
    "hard concrete": methods.HardConcrete(1e-4, budget=BUDGET),
    "structured bayesian": methods.StructuredBayesian(budget=BUDGET),
    "variational dropout": methods.VariationalDropout(budget=BUDGET),
    "bayesian compression": methods.BayesianCompression(budget=BUDGET),
    "horseshoe": methods.BayesianCompression("horseshoe", budget=BUDGET),
    "drop neuron": methods.DropNeuron(BUDGET, 1e-3, 1e-3),
}
LOOK = {name: make(0.5) for name, (make, looks) in METHODS.items() if looks}
LOOK |= {name: method for name, method in WEIGHTS.items() if getattr(method, "retrain", 1) is None}
TRAIN = {name: make(0.5) for name, (make, looks) in METHODS.items() if not looks}
TRAIN |= {name: method for name, method in WEIGHTS.items() if name not in LOOK} | GATED
STEPS = 1  # done before the second breaks off


def broken_at(call, error, function):
    """`function`, which raises `error` when it is called for that time."""
    calls = []

    def run(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise error
        return function(*arguments, **options)

    return run


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space left")], ids=repr)
@pytest.mark.parametrize("name", TRAIN)
def test_a_training_that_breaks_off_leaves_nothing_but_other_weights(name, error, monkeypatch):
    net, data = setting("convolution")
    before, random = traces_left(net), torch.get_rng_state()
    monkeypatch.setattr(Losses, "add", broken_at(STEPS + 1, error, Losses.add))
    with pytest.raises(type(error)):
        TRAIN[name].prune(net, data, progress=False)
    assert traces_left(net) == before
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", LOOK)
def test_a_look_that_breaks_off_changes_no_bit(name, monkeypatch):
    net, data = setting("convolution")
    before, state = traces_left(net), {k: v.clone() for k, v in net.state_dict().items()}
    last = "keep_of" if name in WEIGHTS else "kept"  # the last that it calls
    place = methods.magnitude if name in WEIGHTS else scores
    monkeypatch.setattr(place, last, broken_at(1, KeyboardInterrupt(), getattr(place, last)))
    with pytest.raises(KeyboardInterrupt):
        LOOK[name].prune(net, data, progress=False)
    assert traces_left(net) == before
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_every_method_is_broken_off():
    tried = {type(method).__name__ for method in (LOOK | TRAIN).values()}
    assert tried == set(methods.__all__)


@pytest.mark.parametrize("name", [n for n, m in TRAIN.items() if hasattr(m, "run")])
def test_a_checkpoint_that_cannot_be_written_leaves_nothing(name, tmp_path):
    net, data = setting("convolution")
    before = traces_left(net)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        TRAIN[name].run(net, data, progress=False, checkpoint=tmp_path / "file" / "checkpoint")
    assert traces_left(net) == before

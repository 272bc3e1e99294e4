"""An accelerator gives the numbers of the CPU within rounding: `make test-gpu`, in a minute.

Without one these tests are skipped; PRUNELAB_REHEARSE=1 runs them on the CPU, to try the tests.
"""

import copy
import os

import pytest
import torch

from prunelab import data, groups, methods, models, sensitivity, surgery, train
from prunelab.train.batches import shuffled

REHEARSED = os.environ.get("PRUNELAB_REHEARSE") == "1"
DEVICE = "cpu" if REHEARSED else "cuda"
ready = REHEARSED or torch.cuda.is_available()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not ready, reason="no accelerator")]

BUDGET = train.Budget(epochs=0.4, lr=0.05, batch=32, augment="crop-flip")
ADAM = train.Budget(epochs=0.4, lr=1e-3, batch=32, optimizer="adam", weight_decay=0)
CHOOSING = {
    "filter norm": methods.FilterNorm(0.5),
    "ThiNet": methods.ThiNet(0.5, images=100),
    "channel regression": methods.ChannelRegression(0.5, images=100),
    "discrimination-aware": methods.DiscriminationAware(0.5, images=50, step=2, finetune=BUDGET),
    "activations": methods.ActivationStatistic(0.5),
}
TRAINING = {
    "network surgery": methods.NetworkSurgery(0.5, BUDGET, 4),
    "slimming": methods.Slimming(0.5, BUDGET),
    "information bottleneck": methods.InformationBottleneck(1e-4, budget=ADAM),
    "recursive Bayesian": methods.RecursiveBayesian(1.0, budget=ADAM),
    "hard concrete": methods.HardConcrete(1e-4, budget=ADAM),
    "structured Bayesian": methods.StructuredBayesian(budget=ADAM),
    "variational dropout": methods.VariationalDropout(budget=ADAM),
    "Bayesian compression": methods.BayesianCompression(budget=ADAM),
}


@pytest.fixture(scope="module")
def digits():
    """On the CPU and on the device: small splits."""
    whole = data.load("digits")
    small = {part: getattr(whole, part)[:400] for part in ("train", "val", "test")}
    whole = type(whole)(**{**vars(whole), **small})
    return whole, whole.to(DEVICE)


@pytest.fixture(scope="module")
def trained(digits):
    torch.manual_seed(0)
    net = models.build("preresnet-8", in_channels=1)
    train.fit(net, digits[0], train.Budget(epochs=3, lr=0.05, batch=32), progress=False)
    return net


def both(net):
    return copy.deepcopy(net), copy.deepcopy(net).to(DEVICE)


@pytest.mark.parametrize("augment", ["none", "flip", "crop-flip"])
def test_a_seed_gives_the_same_batches_on_every_device(digits, augment):
    budget = train.Budget(epochs=1, batch=50, augment=augment)
    drawn = [list(shuffled(one.train, budget, torch.Generator().manual_seed(3))) for one in digits]
    for (x, y), (there, labels) in zip(*drawn, strict=True):
        assert torch.allclose(x, there.cpu(), atol=1e-6) and torch.equal(y, labels.cpu())


def test_evaluation(digits, trained):
    here, there = (train.evaluate(net, d.test) for net, d in zip(both(trained), digits))
    assert there.loss == pytest.approx(here.loss, rel=1e-3)
    assert (here.correct != there.correct.cpu()).sum() <= 1


def test_training_follows_the_cpu(digits, trained):
    nets = both(trained)
    rows = [
        train.fit(net, d, BUDGET, progress=False).last for net, d in zip(nets, digits, strict=True)
    ]
    assert rows[1]["loss"] == pytest.approx(rows[0]["loss"], rel=2e-2)
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(a, b.cpu(), atol=5e-3)


def test_bfloat16_and_channels_last_learn_as_well(digits, trained):
    budget = train.Budget(epochs=1, lr=0.02, batch=32, precision="bfloat16", channels_last=True)
    _, net = both(trained)
    before = train.evaluate(net, digits[1].test).loss
    history = train.fit(net, digits[1], budget, progress=False)
    assert history.last["loss"] < before + 0.2


def test_a_scan(digits, trained):
    grid = {"ratios": [0.25, 0.5], "cache": False, "progress": False}
    here, there = (
        sensitivity.scan(net, d.val, **grid) for net, d in zip(both(trained), digits, strict=True)
    )
    assert here[["group", "kept", "params", "macs"]].equals(
        there[["group", "kept", "params", "macs"]]
    )
    assert (here.correct - there.correct).abs().max() <= 2
    assert there.loss.to_numpy() == pytest.approx(here.loss.to_numpy(), rel=1e-2)


@pytest.mark.parametrize("name", CHOOSING)
def test_a_method_chooses_nearly_the_same_channels(digits, trained, name):
    keeps = [
        CHOOSING[name].prune(net, d, progress=False)
        for net, d in zip(both(trained), digits, strict=True)
    ]
    pairs = [(keeps[0][group], keeps[1][group].cpu()) for group in keeps[0]]
    same = sum(int((a == b).sum()) for a, b in pairs)
    assert same >= 0.95 * sum(len(a) for a, _ in pairs)


@pytest.mark.parametrize("name", TRAINING)
def test_a_method_that_trains_runs_and_leaves_a_network_that_shrinks(digits, trained, name):
    _, net = both(trained)
    method = TRAINING[name]
    keep = method.prune(net, digits[1], progress=False)
    assert {p.device.type for p in net.parameters()} == {torch.device(DEVICE).type}
    if method.CHOOSES != "weights":
        small = surgery.shrink(net, groups.trace(net, digits[1].example), keep)
        assert train.evaluate(small, digits[1].test).loss < 100

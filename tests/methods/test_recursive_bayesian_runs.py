"""RBP: its stages, what they leave, and the toy whose layers depend on each other."""

import math
from dataclasses import replace

import pytest
import torch
from helpers.every_method import state
from helpers.recursive import NAMES, TOY, lenet, method, run
from helpers.toy import dataset
from torch import nn

from prunelab import data, methods, models, surgery, train
from prunelab.groups import trace
from prunelab.train import Budget


def test_in_a_stage_gradients_reach_the_weights_and_the_means_of_its_layer_alone():
    gated = method().gated(lenet(), TOY)
    gated.gates["conv1"].begin()
    gated.gates["conv1"].decide(torch.ones(20, dtype=torch.bool))
    gated.gates["conv2"].begin()
    x, y = TOY.train.batch(slice(0, 8))
    nn.functional.cross_entropy(gated.train()(x), y).backward()
    assert [gate.mu.grad is not None for gate in gated.gates.values()] == [False, True, False]
    layers = [p for name, p in gated.named_parameters() if "gates" not in name]
    assert layers and all(p.grad is not None for p in layers)


@pytest.mark.parametrize("order", ["forward", "reverse", ("fc1", "conv1", "conv2"), "together"])
def test_stages_come_in_order_and_what_they_removed_never_comes_back(order):
    seen = []

    def watch(step, gated):
        left = {name: int(kept.sum()) for name, kept in gated.kept().items()}
        phases = [name for name, gate in gated.gates.items() if gate.phase == "noisy"]
        if not seen or seen[-1][:2] != (step, phases):
            seen.append((step, phases, left))

    m = method(0.3, order=order)
    net, done = run(m, watch=watch)
    noisy = {"forward": [*NAMES], "reverse": NAMES[::-1]}.get(order, list(order))
    noisy = [NAMES] if order == "together" else [[name] for name in noisy]
    assert list(dict.fromkeys(tuple(phases) for _, phases, _ in seen)) == [*map(tuple, noisy)]
    assert [step for step, *_ in seen] == sorted(step for step, *_ in seen)
    for name in NAMES:
        course = [left[name] for _, phases, left in seen if phases != [name]]
        assert course == sorted(course, reverse=True)
    assert seen[-1][2] == {name: int(kept.sum()) for name, kept in done.keep.items()}
    assert any(not kept.all() for kept in done.keep.values())
    small = surgery.shrink(net, trace(net, TOY.example), done.keep)
    assert small.conv2.weight.shape[:2] == (done.keep["conv2"].sum(), done.keep["conv1"].sum())
    assert len(done.history) == (1 if order == "together" else 3)


def test_fine_tuning_follows_each_stage_and_brings_nothing_back():
    m = method(0.3)
    budget = replace(m.budget, epochs=2)
    plain, tuned = run(m)[1], run(replace(m, finetune=budget))[1]
    assert torch.equal(plain.keep["conv1"], tuned.keep["conv1"])
    assert [history.last["epoch"] for history in tuned.history] == [5, 2] * 3
    assert not tuned.keep["conv1"].all()


def test_narrowing_decides_the_same():
    m = method(0.3)
    whole, narrow = run(m)[1], run(replace(m, cut=50.0))[1]
    assert not whole.keep["conv1"].all()
    assert whole.keep == narrow.keep


def test_without_a_penalty_nothing_goes_and_with_a_large_one_a_channel_stays():
    assert all(kept.all() for kept in run(method(0.0))[1].keep.values())
    strong = method(1e4)
    assert {int(kept.sum()) for kept in run(strong)[1].keep.values()} == {1}
    with pytest.raises(RuntimeError, match=r"^RecursiveBayesian: none of the 20 units of `conv1`"):
        run(replace(strong, dead="stop"))


def test_the_independent_arm_is_vibnet_with_a_frozen_deviation(monkeypatch):
    """Same noise, KL and rule: the same bits.

    Images and strength are powers of 2, so that the order of factors rounds nothing differently.
    """
    m, images = method(0.125, order="together", spatial=True), dataset(32, size=28)
    net, twins = lenet(), lenet()
    ours = m.run(net, images, progress=False)
    twin = methods.InformationBottleneck(
        0.125 / 32, 2 * math.log(m.sigma), budget=m.budget, rate=m.rate, dead=m.dead
    )
    make = methods.InformationBottleneck.gate

    def frozen(self, place):
        gate = make(self, place)
        with torch.no_grad():
            for start, stored in ((1.0, gate.mu), (self.log_var, gate.log_var)):
                stored.copy_(torch.full_like(stored, start) / self.rate)
        gate.log_var.requires_grad_(False)
        return gate

    monkeypatch.setattr(methods.InformationBottleneck, "gate", frozen)
    theirs = twin.run(twins, images, progress=False)
    assert ours.keep == theirs.keep and not all(kept.all() for kept in ours.keep.values())
    for name, tensor in state(net).items():
        assert torch.equal(tensor, state(twins)[name]), name


# The toy: a duplicated channel


def toy(order, times=1, **fields):
    net, xor = models.build("mlp-2-3-2-1", 2), data.load("xor")
    budget = Budget(8 * times, 2e-3, 100, optimizer="adam", weight_decay=0.0)
    m = methods.RecursiveBayesian(600.0, budget=budget, order=order, **fields)
    done = m.run(net, xor, progress=False)
    return done.keep, train.evaluate(net, xor.test).accuracy


def test_the_toy_computes_xor_with_a_channel_to_spare_in_each_layer():
    net, xor = models.build("mlp-2-3-2-1", 2), data.load("xor")
    whole = train.evaluate(net, xor.test).accuracy
    keep = {"fc1": torch.tensor([True, True, False]), "fc2": torch.tensor([True, False])}
    small = surgery.shrink(net, trace(net, xor.example), keep)
    assert whole > 0.93 and train.evaluate(small, xor.test).accuracy > whole - 0.01
    with pytest.raises(ValueError, match=r"^build: mlp-2-3-2-1 has 2 classes and 2 inputs"):
        models.build("mlp-2-3-2-1", 3)


@pytest.mark.parametrize("order", ["forward", "together"])
def test_once_the_duplicate_is_gone_the_channel_that_reads_it_goes_too(order):
    """The spec expects independent noise to hesitate; it removes the same two channels."""
    keep, accuracy = toy(order, times=1 if order == "forward" else 2)
    assert keep["fc1"].tolist() == [True, True, False] and keep["fc2"].tolist() == [True, False]
    assert accuracy > 0.95

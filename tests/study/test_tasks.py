"""The task `Prune`: what it keeps on its way, and what it records."""

from copy import deepcopy

import pytest
from helpers.every_method import METHODS
from helpers.toy import dataset, network

from prunelab.methods import FilterNorm, Magnitude
from prunelab.study.tasks import RECORDERS, Prune
from prunelab.study.work import Work
from prunelab.train import Budget, loop

BUDGET, DATA = Budget(epochs=2, lr=0.05, batch=8), dataset(16)


def test_rounds_and_retraining_are_kept_apart_and_not_done_again(tmp_path, monkeypatch):
    task = Prune(FilterNorm(0.5, rounds=2, retrain=BUDGET), BUDGET)
    net, work = network(), Work(folder=tmp_path)
    expected = task.run(deepcopy(net), DATA, Work())
    assert task.run(deepcopy(net), DATA, work) == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["retraining.fit", "training.fit"]
    monkeypatch.setattr(loop._Run, "_step", None)
    assert task.run(net, DATA, work) == expected
    assert expected["widths"] == {"0": 2} and len(expected["history"]) == 2
    assert expected["accuracy"] == expected["history"][-1]["test_accuracy"]


def test_without_retraining_the_accuracy_is_that_of_the_pruned_network():
    values = Prune(FilterNorm(0.5)).run(network(), DATA, Work())
    assert values["accuracy"] == values["accuracy_before_retraining"]
    assert "history" not in values and values["params"] < 600


def test_single_weights_are_not_retrained_without_their_masks():
    with pytest.raises(ValueError, match=r"^Prune: `retrain` would not hold the zeros"):
        Prune(Magnitude(0.5), BUDGET).run(network(), DATA, Work())


def test_every_kind_of_choice_has_a_recorder():
    assert {method.CHOOSES for method in METHODS.values()} == set(RECORDERS)

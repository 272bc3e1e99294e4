"""Every public function refuses wrong values in one line of its own, or takes them."""

import itertools
import operator
import random

import pytest
from helpers.valid_calls import CASES
from helpers.wrong import WRONG, fault

import prunelab

PARTS = """
    cost data groups lab masks methods models plots quantisation scores sensitivity surgery train
    widgets
""".split()
SLOW = {
    "surgery.export_onnx", "widgets.explorer", "widgets.mask_player", "widgets.strength_player",
    "widgets.selection_player", "widgets.stage_player", "widgets.contest_player",
    "widgets.hours_setter",
}  # fmt: skip
# Made by the package, not by its users; classes of plain data; constants; `lab.check`, which takes
# any answer and says what is wrong with it.
NO_CALLS = {
    "data.Dataset", "data.Photos", "data.Split", "groups.ChannelAxis", "groups.Flow",
    "lab.Exercise", "lab.Wrong", "lab.check", "train.Evaluation", "train.History",
    "sensitivity.Prediction", "sensitivity.Price",
}  # fmt: skip


def function_of(name):
    """A public function; of a method its verb, with its fields as in the table."""
    owner, _, verb = name.rpartition(".")
    if owner in CASES and owner.startswith(("methods.", "quantisation.")):
        return getattr(operator.attrgetter(owner)(prunelab)(**CASES[owner]()), verb)
    return operator.attrgetter(name)(prunelab)


def caller_of(name):
    """What errors call a function."""
    owner, _, verb = name.rpartition(".")
    return owner.rpartition(".")[2] if verb in ("prune", "run", "quantise") else verb


def test_the_table_has_every_public_function():
    public = {
        f"{part}.{name}" for part in PARTS
        for name in getattr(getattr(prunelab, part), "__all__", ())
        if callable(getattr(getattr(prunelab, part), name))
    }  # fmt: skip
    assert public - set(CASES) == NO_CALLS


def check(name, pairs):
    """Each argument with each wrong value, one at a time; all faults are told at once."""
    function, make = function_of(name), CASES[name]
    faults = {pair: fault(function, caller_of(name), make, *pair) for pair in pairs}
    assert not {f"{name}({' = '.join(pair)})": told for pair, told in faults.items() if told}


def pairs_of(name):
    return list(itertools.product(CASES[name](), WRONG))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_wrong_value_is_taken_or_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = pairs_of(name)
    check(name, random.Random(name).sample(pairs, min(len(pairs), 4 if name in SLOW else 25)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES))
def test_every_wrong_value_is_taken_or_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(name, pairs_of(name))

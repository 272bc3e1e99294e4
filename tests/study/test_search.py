"""A search: what a candidate changes, and the rule that chooses among candidates."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelab.methods import InformationBottleneck, NetworkSurgery
from prunelab.study.networks import Network
from prunelab.study.results import Line, Run
from prunelab.study.search import Search, candidate, chosen
from prunelab.study.study import Case
from prunelab.train import Budget

LENET = Network("lenet-300-100", "mnist", Budget(epochs=3, lr=0.01))
SURGERY = NetworkSurgery({"fc1": 4.1, "fc2": 2.6, "fc3": 2.1}, Budget(epochs=2, lr=0.06), 40)


def test_a_candidate_changes_what_its_label_names_and_nothing_else():
    decayed = candidate({"fc1": 1.1, "fc3": 0.5}, weight_decay=2e-3)
    assert decayed.label == "decay 0.002, fc1 x 1.1, fc3 x 0.5"
    network, found = decayed.of(LENET, SURGERY)
    assert network == LENET
    assert found.c == {"fc1": 4.51, "fc2": 2.6, "fc3": 1.05}
    assert found.budget == replace(SURGERY.budget, weight_decay=2e-3)
    assert replace(found, c=SURGERY.c, budget=SURGERY.budget) == SURGERY
    assert candidate(0.5, lr=0.03).label == "rate 0.03, c x 0.5"
    assert candidate(0.5, lr=0.03).of(LENET, SURGERY)[1].c == {"fc1": 2.05, "fc2": 1.3, "fc3": 1.05}
    masks = candidate(stop=8000, gamma=0.0)
    assert masks.label == "stop 8000, gamma 0"
    assert masks.of(LENET, SURGERY) == (LENET, replace(SURGERY, stop=8000, gamma=0.0))
    flat = candidate(flat=0.25)
    assert flat.label == "flat 0.25"
    bent = flat.of(LENET, SURGERY)[1].budget
    rates = [bent.rate(step, 1000) / SURGERY.budget.lr for step in (0, 249, 625)]
    assert rates == pytest.approx([1, 1, 0.5])
    assert (candidate().label, candidate().of(LENET, SURGERY)) == ("as searched", (LENET, SURGERY))


def test_a_candidate_may_change_the_network_too():
    other = candidate(data="mnist+unit", plain=10, lr=0.5)
    assert other.label == "data mnist+unit, plain 10, rate 0.5"
    network, found = other.of(LENET, SURGERY)
    assert found == replace(SURGERY, budget=replace(SURGERY.budget, lr=0.5))
    assert network == replace(LENET, data="mnist+unit", budget=replace(found.budget, epochs=10))
    kl = {"conv1": 3e-4, "fc1": 6e-4}
    gated = InformationBottleneck(1e-3, budget=SURGERY.budget)
    assert candidate(kl=kl).label == "kl 0.0003 0.0006"
    assert candidate(kl=kl).of(LENET, gated) == (LENET, replace(gated, kl=kl))


def test_a_change_that_nothing_has_is_refused():
    with pytest.raises(TypeError, match="momenta"):
        candidate(momenta=0.5).of(LENET, SURGERY)


def test_a_search_holds_what_is_shown_against_all_others():
    one, two = candidate(lr=0.03), candidate(2.0)
    search = Search(LENET, SURGERY, (one, two), seen=(0, 1), taken=two)
    assert search.shown == two.of(LENET, SURGERY) and search.title == "the one shown: c x 2"
    assert search.others == {
        "as searched": (LENET, SURGERY),
        one.label: one.of(LENET, SURGERY),
    }
    same = replace(search, taken=candidate())
    assert same.shown == (LENET, SURGERY) and same.title == "the one shown"
    assert list(same.others) == [one.label, two.label]


def line(errors, size=110, name="candidate", first=0):
    case = Case("candidates", name, Network("lenet-5"), None)
    runs = [
        Run(case, f"{name}{seed}", seed, {"val_accuracy": 1 - error, "size": size})
        for seed, error in enumerate(errors, first)
    ]
    return Line(case, tuple(runs))


def fits(line):
    return all(run.values["size"] >= 108 for run in line.runs)


def test_a_candidate_that_fits_replaces_the_setting_shown_by_the_lowest_error():
    shown, one, two = line([0.011, 0.013]), line([0.010] * 2, 108), line([0.009] * 2, 120)
    assert chosen(shown, [], fits) is shown
    assert chosen(shown, [one], fits) is one
    assert chosen(shown, [one, two], fits) is two
    large = line([0.009] * 2, 107.9)
    assert chosen(shown, [one, large], fits) is one


def test_the_rule_needs_the_setting_shown_and_that_it_fits():
    one = line([0.010] * 2)
    assert chosen(line([]), [one], fits) is None
    assert chosen(line([0.02], 100), [one], fits) is None


@given(st.lists(st.integers(40, 80), min_size=2, max_size=6), st.integers(-20, 20))
def test_a_candidate_needs_more_than_one_standard_error_of_the_difference(answers, less):
    shown, other = line([n / 5000 for n in answers]), line([(n - less) / 5000 for n in answers])
    error = math.sqrt(2 * pd.Series(answers).var() / len(answers))
    if abs(less - error) > 1e-6:
        assert chosen(shown, [other], fits) is (other if less > error else shown)


def test_one_run_has_no_standard_error_and_replaces_nothing():
    shown = line([0.011, 0.011])
    assert chosen(shown, [line([0.001])], fits) is shown


def test_fresh_seeds_have_no_say():
    search = Search(LENET, SURGERY, (), seen=(0, 1))
    shown = line([0.011, 0.011], name="shown")
    taken = search.judged(shown, [line([0.001, 0.002])], fits)
    assert [one.note for one in taken] == ["", "yes"]
    fresh = search.judged(shown, [line([0.001, 0.002], first=1)], fits)
    assert [(one.note, len(one.runs)) for one in fresh] == [("yes", 2), ("", 1)]


def test_what_was_not_run_has_no_line():
    search = Search(LENET, SURGERY, (), seen=(0, 1))
    assert search.judged(line([]), [line([])], fits) == []
    assert [one.note for one in search.judged(line([]), [line([0.1])], fits)] == [""]

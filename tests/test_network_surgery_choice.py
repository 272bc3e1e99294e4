"""How surgery's settings were chosen, and that the words about the committed rows are true."""

import math
from dataclasses import replace
from statistics import fmean, variance

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelab.study import ledger
from prunelab.study import tables as t
from prunelab.study.papers import network_surgery as paper
from prunelab.study.papers.network_surgery.candidates import CANDIDATES, SEEN, Candidate
from prunelab.study.papers.network_surgery.choice import choice, chosen, compared, meeting
from prunelab.study.papers.network_surgery.tables import of as of_label


def test_a_candidate_changes_what_its_label_names_and_nothing_else():
    surgery = paper.SETTINGS["paper"][0].searched
    candidate = Candidate({"fc1": 1.1, "fc3": 0.5}, weight_decay=2e-3)
    assert candidate.label() == "decay 0.002, fc1 x 1.1, fc3 x 0.5"
    found = candidate.of(surgery)
    assert found.c == {"fc1": 4.51, "fc2": 2.6, "fc3": 1.05}
    assert found.budget == replace(surgery.budget, weight_decay=2e-3)
    assert replace(found, c=surgery.c, budget=surgery.budget) == surgery
    assert Candidate(0.5, lr=0.03).label() == "rate 0.03, c x 0.5"
    assert Candidate(0.5, lr=0.03).of(surgery).c == {"fc1": 2.05, "fc2": 1.3, "fc3": 1.05}
    masks = Candidate(stop=8000, gamma=0.0)
    assert masks.label() == "stop 8000, gamma 0, c x 1"
    assert masks.of(surgery) == replace(surgery, stop=8000, gamma=0.0)
    flat = Candidate(flat=0.25)
    assert flat.label() == "flat 0.25, c x 1"
    rates = [flat.of(surgery).budget.rate(step, 1000) / surgery.budget.lr for step in (0, 249, 625)]
    assert rates == pytest.approx([1, 1, 0.5])
    assert (Candidate().label(), Candidate().of(surgery)) == ("as searched", surgery)


def setting_row(label, error, compression):
    recipe = {"model": "lenet-5", "task": {"kind": "prune"}}
    values = {"val_accuracy": 1 - error, "compression": compression}
    return {"label": label, "preset": "paper", "seed": 0, "recipe": recipe, "values": values}


def candidate_rows(errors, size, label="candidate"):
    return [setting_row(label, error, size) for error in errors]


def test_a_candidate_that_is_small_enough_replaces_the_setting_shown_by_the_lowest_error():
    shown = candidate_rows([0.011, 0.013], 110, "surgery")
    frontier = candidate_rows([0.001, 0.001], 200, "surgery, c x 1.2")
    assert chosen(shown + frontier, "lenet-5") == "surgery"
    one = candidate_rows([0.010, 0.010], 108, "candidate, one")
    two = candidate_rows([0.009, 0.009], 120, "candidate, two")
    assert chosen(shown + one, "lenet-5") == "candidate, one"
    assert chosen(shown + one + two, "lenet-5") == "candidate, two"
    two[1]["values"]["compression"] = 107.9
    assert chosen(shown + one + two, "lenet-5") == "candidate, one"


def test_the_rule_needs_the_setting_shown_and_that_it_is_small_enough():
    one = candidate_rows([0.010, 0.010], 120)
    assert chosen(one, "lenet-5") is None
    assert chosen(one + candidate_rows([0.02], 100, "surgery"), "lenet-5") is None
    assert chosen(one + candidate_rows([0.02], 110, "surgery"), "lenet-300-100") is None


@given(st.lists(st.integers(40, 80), min_size=2, max_size=6), st.integers(-20, 20))
def test_a_candidate_needs_more_than_one_standard_error_of_the_difference(answers, less):
    shown = candidate_rows([n / 5000 for n in answers], 110, "surgery")
    other = candidate_rows([(n - less) / 5000 for n in answers], 110)
    error = math.sqrt(2 * pd.Series(answers).var() / len(answers))
    if abs(less - error) > 1e-6:
        taken = "candidate" if less > error else "surgery"
        assert chosen(shown + other, "lenet-5") == taken


def test_fresh_seeds_have_no_say():
    rows = candidate_rows([0.011, 0.011], 110, "surgery") + candidate_rows([0.001], 110)
    more = candidate_rows([0.001, 0.002], 110)
    assert chosen(rows + more, "lenet-5") == "candidate"
    fresh = max(SEEN["lenet-5"]) + 1
    assert chosen(rows + [row | {"seed": fresh} for row in more], "lenet-5") == "surgery"


def test_one_run_has_no_standard_error_and_replaces_nothing():
    shown = candidate_rows([0.011, 0.011], 110, "surgery")
    assert chosen(shown + candidate_rows([0.001], 110), "lenet-5") == "surgery"


@pytest.fixture(scope="module")
def committed():
    return t.current(ledger.read(ledger.COMMITTED / f"{paper.STEM}.jsonl"), paper.recipes)


@pytest.mark.parametrize("setting", paper.SETTINGS["paper"], ids=lambda s: s.model)
def test_no_candidate_replaces_what_is_shown(committed, setting):
    found = compared(committed, setting.model)
    assert len(found) == 1 + len(CANDIDATES[setting.model])
    assert {row["seed"] for row in found["surgery"]} == set(SEEN[setting.model])
    assert min(len(group) for group in found.values()) == 3
    assert chosen(committed, setting.model) == "surgery"


def test_what_is_shown_replaced_what_the_search_had_found(committed):
    assert paper.SETTINGS["paper"][0].surgery == paper.SETTINGS["paper"][0].searched
    found = compared(committed, "lenet-5")
    searched, shown = found["candidate, as searched"], found["surgery"]
    assert {row["seed"] for row in searched} == {row["seed"] for row in shown}
    errors = [[1 - r["values"]["val_accuracy"] for r in group] for group in (searched, shown)]
    scatter = math.sqrt(sum(variance(group) / len(group) for group in errors))
    assert fmean(errors[1]) < fmean(errors[0]) - scatter
    table = choice(committed).set_index("network").loc["LeNet-5"].set_index("setting")
    assert table.loc["as searched", "small enough"] == "no"
    assert table.loc["the one shown: flat 0.5, c x 1.075", "taken by the rule"] == "yes"


def percent(rows):
    """Mean test error, in percent."""
    return 100 - 100 * fmean(row["values"]["accuracy"] for row in rows)


def test_the_finding_says_what_the_committed_rows_hold(committed):
    groups = {}
    for model in SEEN:
        ours = [r for r in of_label(committed, "surgery", model) if r["preset"] == "paper"]
        fresh = [row for row in ours if row["seed"] not in SEEN[model]]
        seen = [row for row in ours if row["seed"] in SEEN[model]]
        groups[model] = seen, fresh, of_label(committed, "all images", model)
    met = {k: [(meeting(g, k), len(g)) for g in group] for k, group in groups.items()}
    assert met == {"lenet-300-100": [(3, 3), (3, 3), (6, 6)], "lenet-5": [(6, 6), (3, 3), (3, 3)]}
    rows = [row for group in groups["lenet-5"] for row in group]
    text = (ledger.PROJECT / "notebooks" / "02-network-surgery.ipynb").read_text()
    size = fmean(row["values"]["compression"] for row in rows)
    assert f"the mean of the twelve is {size:.0f}x at {percent(rows):.2f}%" in text
    cosine = of_label(committed, "candidate, as searched", "lenet-5")
    assert 0 < meeting(cosine, "lenet-5") < len(cosine)


@pytest.mark.parametrize(("model", "worse"), [
    ("lenet-300-100", {"no splicing": (0.2, 0.3), "rounds": (0.25, 0.35), "one shot": (5, 20),
                       "no hysteresis": (-0.05, 0.05)}),
    ("lenet-5", {"no splicing": (0.2, 0.3), "rounds": (0.1, 0.15), "one shot": (0.5, 5),
                 "no hysteresis": (0.12, 0.17)}),
])  # fmt: skip
def test_controls_end_as_much_worse_than_surgery_as_the_finding_says(committed, model, worse):
    paper_rows = [row for row in committed if row["preset"] == "paper" and row["seed"] < 3]
    surgery = of_label(paper_rows, "surgery", model)
    for name, (low, high) in worse.items():
        label = f"{name}, equal size" if name in ("rounds", "one shot") else name
        found = of_label(paper_rows, label, model)
        assert {r["seed"] for r in found} == {r["seed"] for r in surgery} == {0, 1, 2}
        assert low < percent(found) - percent(surgery) < high, label

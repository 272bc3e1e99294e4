"""RBP's arms: how their strengths are chosen, and how they are compared."""

import math
import re

import numpy as np
import pytest
from helpers.arms import LENET, NOT, OK, fresh, frontier, row
from helpers.studies import texts
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from prunelab.study import ledger
from prunelab.study.papers.recursive_bayesian import (
    ARMS,
    SETTINGS,
    STUDY,
    at_equal_error,
    findings,
    in_brief,
    judged,
    paired,
    views,
)
from prunelab.study.papers.recursive_bayesian.arms import EQUAL, ERROR, WEIGHTS, p_value
from prunelab.study.papers.recursive_bayesian.strengths import limit

COMMITTED = ledger.read(ledger.COMMITTED / "recursive_bayesian.jsonl")
CHOSEN, DOES_IT_HELP, AT_EQUAL_ERROR = (
    "How the strengths were chosen (presets standard and paper)",
    "Does conditioning help, at the rule's strengths?",
    "Does conditioning help, at equal error?",
)


def table(begin, rows):
    found = texts(STUDY, rows)
    return found[next(title for title in found if title.startswith(begin))]


# The rule


def test_the_rule_takes_the_strongest_that_is_allowed_and_sees_no_fresh_seed():
    rows = []
    weak, strong = LENET.grid[0], LENET.grid[-1]
    for seed in (0, 1):
        rows.append(row("candidates", "forward", seed, (90, 80, 70), 2.0, OK, weak))
        rows.append(row("arms", "forward", seed, (60, 50, 40), 2.0, OK))
        rows.append(row("candidates", "forward", seed, (50, 40, 30), 3.0, NOT, strong))
    rows += [row("arms", "forward", seed, (60, 50, 40), 2.0, 0.0) for seed in (2, 3)]
    lines = [line for line in judged(STUDY.results(rows), "paper") if line.runs]
    assert [line.note for line in lines] == ["", "yes", ""]
    assert [len(line.runs) for line in lines] == [2, 2, 2]
    table = texts(STUDY, rows)[CHOSEN]
    assert list(table[table["taken by the rule"] == "yes"].arm) == ["forward"]


@pytest.mark.parametrize("setting", SETTINGS["standard"], ids=lambda one: one.model)
def test_the_strengths_that_are_shown_are_those_that_the_rule_takes(setting):
    lines = [one for one in judged(STUDY.results(COMMITTED), "paper")
             if one.case.network == setting.network and one.runs]  # fmt: skip
    assert {one.case.name: one.case.task.method.beta for one in lines if one.note} == setting.taken
    assert all(len(one.runs) == setting.seen for one in lines)


def of_arm(*strengths):
    """Lines of one arm, from (index in the list, validation accuracy or None)."""
    rows = []
    for number, right in strengths:
        value = LENET.grid[number]
        part = "arms" if value == LENET.taken["forward"] else "candidates"
        if right is not None:
            rows += [row(part, "forward", s, (60, 50, 40), 2.0, right, value) for s in (0, 1)]
    lines = judged(STUDY.results(rows), "paper")
    return [one for one in lines if (one.case.model, one.case.name) == (LENET.model, "forward")]


def test_a_list_binds_only_if_the_next_stronger_one_was_tried_and_refused():
    at = LENET.grid.index(LENET.taken["forward"])
    shown = LENET.grid[at]
    bound = of_arm((at - 1, OK), (at, OK), (at + 1, NOT))
    assert limit(bound, shown) == ""
    assert limit(bound, 1.5) == f"the rule takes {shown:g}, not 1.5"
    assert limit(of_arm((at - 1, OK), (at, OK)), shown) == "limited by the list"
    assert limit(of_arm((at, OK), (at + 1, OK)), LENET.grid[-1]) == "limited by the list"
    skipped = of_arm((at - 2, OK), (at, NOT))  # what lies between has not run
    assert limit(skipped, shown) == "limited by the list"
    assert limit(of_arm((at, NOT)), shown) == "no strength is allowed"


def test_one_of_the_choosing_seeds_alone_allows_and_refuses_nothing():
    at = LENET.grid.index(LENET.taken["forward"])
    rows = [row("arms", "forward", 0, (60, 50, 40), 2.0, OK)]
    lines = [one for one in judged(STUDY.results(rows), "paper") if one.case.name == "forward"]
    assert limit(lines, LENET.grid[at]) == "no strength is allowed"


def test_what_is_stronger_than_a_refused_one_and_has_not_run_has_no_line():
    lines = of_arm((0, OK), (2, NOT))
    assert [one.case.task.method.beta for one in lines] == list(LENET.grid[:3])


# At the strengths of the rule


@pytest.mark.parametrize(
    ("forward", "other", "verdict"),
    [
        (((60, 50, 40), 2.0), ((90, 80, 70), 2.0), "RBP is smaller"),
        (((90, 80, 70), 2.0), ((60, 50, 40), 2.0), "the other is smaller"),
        (((60, 50, 40), 2.0), ((60, 50, 40), 3.0), "RBP is more accurate"),
        (((60, 50, 40), 3.0), ((90, 80, 70), 2.0), "RBP is smaller; the other is more accurate"),
        (((60, 50, 40), 2.0), ((60, 50, 40), 2.0), "no difference is proved"),
    ],
)
def test_the_question_is_answered_by_pairs_of_fresh_seeds(forward, other, verdict):
    rows = fresh(forward, other)
    found = table(DOES_IT_HELP, rows)
    found = found[(found.network == "LeNet-300-100, mnist") & (found["RBP less"] == "at once")]
    assert list(found.verdict) == [verdict]
    (line,) = (one for one in paired(STUDY.results(rows), "paper")
               if one.note == "at once" and one.runs)  # fmt: skip
    assert [run.seed for run in line.runs] == [2, 3, 4]
    alone = table(DOES_IT_HELP, [one for one in rows if one["seed"] < 3])
    assert "one seed decides nothing" in set(alone.verdict)


def test_a_verdict_waits_until_the_lists_of_both_arms_bind():
    rows = fresh(((60, 50, 40), 2.0), ((90, 80, 70), 2.0))
    open_ended = [one for one in rows if one["label"] != "at once, beta 40"]
    assert len(open_ended) == len(rows) - 2
    found = table(DOES_IT_HELP, open_ended)
    assert "limited by the list: at once" in set(found.verdict)
    assert "RBP is smaller" not in set(found.verdict)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=7))
def test_a_p_value_is_that_of_the_paired_t_test(values):
    if np.std(values) > 1e-3:
        assert p_value(values) == pytest.approx(ttest_1samp(values, 0.0).pvalue, rel=1e-6)
    assert p_value([values[0]]) == 1.0


def test_p_values_are_corrected_for_all_three_arms_by_holm():
    lines = list(paired(STUDY.results(COMMITTED), "paper"))
    own = [line for line in lines if line.case.model == LENET.model]
    for name in (WEIGHTS, ERROR, EQUAL):
        raw = sorted(p_value(line.printed.values[name]) for line in own)
        found = sorted(line.printed.p[name] for line in own)
        worst = np.maximum.accumulate([min(1, (3 - k) * p) for k, p in enumerate(raw)])
        assert found == pytest.approx(list(worst))
    alone = fresh(((60, 50, 40), 2.0), ((90, 81, 70), 2.1))
    line = next(one for one in paired(STUDY.results(alone), "paper") if one.note == "at once")
    raw = p_value(line.printed.values[WEIGHTS])  # two arms have no runs, and count
    assert line.printed.p[WEIGHTS] == pytest.approx(3 * raw)


def test_one_seed_has_a_difference_and_no_interval():
    rows = [row("arms", arm, 2, (60, 50, 40), 2.0) for arm in ("forward", "at once")]
    lines = [one for one in paired(STUDY.results(rows), "paper") if one.runs]
    found = views.differences(lines, [WEIGHTS])
    assert found["mean"].tolist() == [0.0] and all(math.isnan(half) for half in found.half)


# At equal error


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.floats(0.6, 1.6), st.floats(-1.0, -0.3))
def test_on_straight_frontiers_the_factor_is_that_by_which_one_lies_above_the_other(times, fall):
    rows = frontier("forward", times, fall) + frontier("throughout", 1.0, fall)
    (line,) = (one for one in paired(STUDY.results(rows), "paper")
               if one.note == "throughout" and one.runs)  # fmt: skip
    assert np.exp(line.printed.values[EQUAL]) == pytest.approx([times] * 3, rel=1e-6)
    found = [one for one in at_equal_error(STUDY.results(rows), "paper") if one.runs]
    assert not found  # two arms have no frontier


def test_the_arms_are_read_off_their_frontiers_at_the_errors_that_all_reach():
    scales = {"forward": 1.2, "reverse": 1.0, "at once": 0.9, "throughout": 0.8}
    rows = [one for arm, scale in scales.items() for one in frontier(arm, scale)]
    found = [one.printed for one in at_equal_error(STUDY.results(rows), "paper")
             if one.printed.kind == "test"]  # fmt: skip
    assert len(found) == 3 and found[0].error < found[1].error < found[2].error
    for one in found:
        ratios = [one.weights[arm] / one.weights["reverse"] for arm in ARMS]
        assert ratios == pytest.approx([scales[arm] for arm in ARMS], rel=2e-2)


def test_where_the_error_does_not_fall_with_size_nothing_is_compared_at_equal_error():
    rows = frontier("forward", 1.0, 0.1) + frontier("throughout", 1.0, 0.1)
    assert "no frontier to compare along" in set(table(AT_EQUAL_ERROR, rows).verdict)


# What is said of it


def test_the_findings_follow_from_the_rows():
    small = [*fresh(((60, 50, 40), 2.0), ((90, 80, 71), 2.0))]
    lines = list(paired(STUDY.results(small), "paper"))
    reverse, first, throughout, last = findings(lines)
    assert reverse == "LeNet-300-100, RBP beside *reverse*: not measured."
    assert throughout == "LeNet-300-100, RBP beside *throughout*: not measured."
    assert first.startswith("LeNet-300-100, RBP beside *at once*: at the strengths of the rule -")
    assert "of the weights (proved)" in first and "of test error (not proved)" in first
    assert last.startswith("Proved both at the strengths of the rule and at equal error: RBP")
    open_ended = [one for one in small if one["label"] != "at once, beta 40"]
    (_, first, *_) = findings(paired(STUDY.results(open_ended), "paper"))
    assert "no verdict, limited by the list: at once" in first
    (_, alone, *_) = findings(paired(STUDY.results([o for o in small if o["seed"] < 3]), "paper"))
    assert "one seed decides nothing" in alone
    assert findings(paired(STUDY.results([]), "paper")) == []


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (0.5, "smaller beside *throughout* on LeNet-300-100; RBP is larger beside no arm."),
        (2.0, "smaller beside no arm; RBP is larger beside no arm."),  # the two disagree
    ],
)
def test_both_comparisons_together_name_an_arm_only_if_both_prove_the_same(times, told):
    rows = frontier("forward", times) + frontier("throughout", 1.0)
    assert findings(paired(STUDY.results(rows), "paper"))[-1].endswith(told)


def test_the_readme_says_what_is_measured_at_equal_error():
    nothing = in_brief(STUDY.results([]))
    assert nothing["measured here"] == nothing["verdict"] == "not measured"
    found = in_brief(STUDY.results(COMMITTED))
    assert "LeNet-300-100: " in found["measured here"] and " / " in found["measured here"]
    assert found["verdict"].endswith("differences proved")


def test_an_arm_that_is_not_measured_keeps_its_place_in_the_readme():
    rows = frontier("forward", 1.0) + frontier("throughout", 2.0)
    told = in_brief(STUDY.results(rows))["measured here"]
    assert re.fullmatch(r"LeNet-300-100: not measured / [\d.]+ \([\d.]+ to [\d.]+\)", told)

"""What the notebook says about network surgery is what the committed rows hold."""

import math
from statistics import fmean, variance

import pytest
from helpers.studies import texts

from prunelab.study import ledger
from prunelab.study import measures as m
from prunelab.study.papers.network_surgery import NO_WORSE, SETTINGS, STUDY
from prunelab.study.papers.network_surgery.cases import SEARCHES


@pytest.fixture(scope="module")
def committed():
    return STUDY.results(ledger.read(ledger.COMMITTED / f"{STUDY.stem}.jsonl"))


@pytest.fixture(scope="module")
def choice(committed):
    (table,) = (one for one in STUDY.compared if one.title.startswith("How rate"))
    lines = list(table.lines(committed, "paper"))
    return {model: [one for one in lines if one.case.model == model] for model in SEARCHES}


@pytest.mark.parametrize("model", SEARCHES)
def test_no_candidate_replaces_what_is_shown(choice, model):
    shown, *others = choice[model]
    search = SEARCHES[model]
    assert len(others) == len(search.others) == len(search.candidates)
    assert shown.case.part == "surgery"
    assert {run.seed for run in shown.runs} == set(search.seen)
    assert min(len(one.runs) for one in choice[model]) == 3
    assert [one.note for one in choice[model]] == ["yes", *[""] * len(others)]


def test_what_is_shown_replaced_what_the_search_had_found(choice):
    small = SETTINGS["paper"][0]
    assert small.surgery == small.searched
    shown, *others = choice["lenet-5"]
    searched = next(one for one in others if one.case.setting == "as searched")
    assert {run.seed for run in searched.runs} == {run.seed for run in shown.runs}
    errors = [[m.val_error(run) for run in one.runs] for one in (searched, shown)]
    scatter = math.sqrt(sum(variance(group) / len(group) for group in errors))
    assert fmean(errors[1]) < fmean(errors[0]) - scatter
    table = texts(STUDY, ledger.read(ledger.COMMITTED / f"{STUDY.stem}.jsonl"))
    table = table["How rate, decay and c were chosen (preset paper)"].set_index("network")
    table = table.loc["LeNet-5"].set_index("setting")
    assert table.loc["as searched", "small enough"] == "no"
    assert table.loc["the one shown: flat 0.5, c x 1.075", "taken by the rule"] == "yes"


def percent(runs):
    """Mean test error, in percent."""
    return fmean(m.error(run) for run in runs)


def met(committed, runs):
    """How many runs end, on their last error, no larger and no worse than printed."""
    (table,) = (one for one in STUDY.compared if one.title.startswith("Table 1"))
    lines = table.lines(committed, "paper")
    line = next(one for one in lines if one.case.model == runs[0].case.model)
    return NO_WORSE.met(line, runs), len(runs)


def test_the_finding_says_what_the_committed_rows_hold(committed):
    groups = {}
    for model, search in SEARCHES.items():
        ours = committed.runs("paper", part="surgery", model=model)
        groups[model] = [
            [run for run in ours if run.seed in search.seen],
            [run for run in ours if run.seed not in search.seen],
            committed.runs("paper", part="all images", model=model),
        ]
    found = {model: [met(committed, runs) for runs in group] for model, group in groups.items()}
    assert found == {"lenet-300-100": [(3, 3), (3, 3), (6, 6)], "lenet-5": [(6, 6), (3, 3), (3, 3)]}
    runs = [run for group in groups["lenet-5"] for run in group]
    text = (ledger.PROJECT / "notebooks" / "02-network-surgery.ipynb").read_text()
    size = fmean(run.values["compression"] for run in runs)
    assert f"the mean of the twelve is {size:.0f}x at {percent(runs):.2f}%" in text
    cosine = committed.runs("paper", part="candidates", model="lenet-5", setting="as searched")
    assert 0 < met(committed, cosine)[0] < len(cosine)


# Points of error by which a control ends worse: at least, at most.
WORSE = {
    "no splicing": {"lenet-300-100": (0.2, 0.3), "lenet-5": (0.2, 0.3)},
    "rounds": {"lenet-300-100": (0.25, 0.35), "lenet-5": (0.1, 0.15)},
    "one shot": {"lenet-300-100": (5, 20), "lenet-5": (0.5, 5)},
    "no hysteresis": {"lenet-300-100": (-0.05, 0.05), "lenet-5": (0.12, 0.17)},
}


@pytest.mark.parametrize("model", SEARCHES)
def test_controls_end_as_much_worse_than_surgery_as_the_finding_says(committed, model):
    def first(**wanted):
        runs = committed.runs("paper", model=model, setting={"", "equal size"}, **wanted)
        return [run for run in runs if run.seed < 3]

    surgery = first(part="surgery")
    for name, bounds in WORSE.items():
        low, high = bounds[model]
        found = first(part="controls", name=name)
        assert {r.seed for r in found} == {r.seed for r in surgery} == {0, 1, 2}
        assert low < percent(found) - percent(surgery) < high, name

"""Measures of runs, and the rules that judge lines by them."""

import pytest

from prunelab.study import measures as m
from prunelab.study.cells import Missing, Range
from prunelab.study.networks import Network
from prunelab.study.results import Line, Run
from prunelab.study.study import Case
from prunelab.study.tables import Pair, ours
from prunelab.study.tasks import Baseline

BASE = Case("accuracy", "whole", Network("lenet-5", "digits"), Baseline(), printed=("LeNet",))
ERROR = Pair("error %", "error_pct", m.error)


def run(seed=0, base=None, case=BASE, **values):
    return Run(case, f"k{seed}{len(values)}", seed, values, "cpu", base)


def line(*runs, **printed_values):
    row = type("Row", (), printed_values)
    return Line(BASE, runs, row, Missing("prunelab run 07"))


def test_a_line_over_another_pairs_runs_by_seed():
    over = line(run(0), run(1), run(2)).over(line(run(1, accuracy=1), run(0, accuracy=0.5)))
    assert [one.base and one.base.values["accuracy"] for one in over.runs] == [0.5, 1, None]


def test_errors_and_changes_are_in_percent_and_points():
    one = run(accuracy=0.75, base=run(1, accuracy=0.8, macs=100), macs=25)
    assert m.error(one) == 25 and m.best_error(one) is None
    assert m.change(one) == pytest.approx(5) and m.change(one.base) is None
    assert m.removed("macs")(one) == 75 and m.removed("macs")(one.base) is None


def test_a_cell_takes_the_runs_with_a_value_and_with_its_name():
    cell = ours(Range, lambda one: one.values.get("x"))
    assert cell(line(run(x=1), run(1, y=2))).values == (1,)
    assert cell(line(run(y=2))) == "–"
    assert cell(line()) == ours(Range, m.error, of="other")(line(run())) == line().missing


def test_a_run_is_within_print_only_if_nothing_is_above_to_the_digits_that_are_printed():
    names = {"error": 1.6, "weights": 3.59, "macs": 0.094, "blank": float("nan")}
    pairs = tuple(Pair(k, k, lambda one, k=k: one.values[k]) for k in names)
    good = {"error": 1.6, "weights": 3.591, "macs": 0.0942, "blank": 7.0}
    verdict = m.NoWorse(pairs)
    assert str(verdict(line(run(**good), **names))) == "within print in 1 of 1 seeds"
    for name, value in {"error": 1.61, "weights": 3.596, "macs": 0.0946}.items():
        found = verdict(line(run(**good), run(1, **good | {name: value}), **names))
        assert (found.kind, str(found)) == ("differs", "within print in 1 of 2 seeds")


def test_a_size_that_should_be_reached_is_not_rounded():
    size = m.NoWorse((Pair("size", "size", lambda one: one.values["size"], at_least=True),))
    assert [size(line(run(size=v), size=108)).kind for v in (107.999, 108, 120)] == [
        "differs",
        "agrees",
        "agrees",
    ]


def test_fresh_seeds_are_counted_apart():
    verdict = m.NoWorse((ERROR,), seen=lambda line: (0, 1))
    runs = [run(seed, accuracy=a) for seed, a in ((0, 0.99), (1, 0.5), (6, 0.99))]
    text = "within print in 1 of 2 seeds and 1 of 1 fresh seeds"
    assert verdict(line(*runs, error_pct=2.0)).text == text
    assert verdict(line(runs[2], error_pct=2.0)).text == "within print in 1 of 1 fresh seeds"
    assert verdict(line(runs[2], error_pct=2.0)).kind == "agrees"


def test_counts_say_which_digits_are_not_met():
    pairs = tuple(Pair(k, k, lambda one, k=k: one.values[k]) for k in ("MACs", "weights,"))
    verdict = m.Equal(pairs, {"misprinted": "a misprint"})

    def of(macs, weights, model="a"):
        return verdict(line(run(**{"MACs": macs, "weights,": weights}), model=model, **shows))

    shows = {"MACs": 3.13e8, "weights,": 1.99e7}
    assert of(313_463_808, 19_900_000).text == "equal"
    assert of(313_463_808, 19_962_560).text == "equal (weights truncated in print)"
    assert of(300_000_000, 19_900_000).text == "differs: MACs"
    assert of(1, 1, "misprinted").text == "differs: MACs, weights (a misprint)"
    assert of(1, 1).kind == "differs"


@pytest.mark.parametrize(
    ("accuracy", "kind", "text"),
    [
        (0.934, "agrees", "within 0.3 points (-0.20)"),
        (0.92, "differs", "1.20 points above"),
        (0.94, "differs", "0.80 points below"),
    ],
)
def test_a_mean_is_near_print_or_says_how_far(accuracy, kind, text):
    found = m.Near(ERROR, 0.3)(line(run(accuracy=accuracy), error_pct=6.8))
    assert (found.kind, found.text) == (kind, text)

import math
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from prunelab.study import tables as t


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (313000000.0, 3),
        (15000000.0, 2),
        (34.2, 3),
        (90900000.0, 3),
        (0.05, 1),
        (1.2e-5, 2),
        (7, 1),
        (-3.4, 2),
        (0, 1),
    ],
)
def test_significant_digits(value, count):
    assert t.digits(value) == count


@pytest.mark.parametrize(
    ("measured", "shown", "places", "verdict"),
    [
        (313_463_808, 3.13e8, None, "equal"),
        (206_279_680, 2.06e8, None, "equal"),
        (14_977_728, 1.5e7, None, "equal"),
        (19_962_560, 1.99e7, None, "equal (truncated)"),  # 1.996e7 rounds to 2.00e7
        (20_100_000, 1.99e7, None, "differs"),
        (34.19, 34.2, 1, "equal"),
        (13.77, 13.7, 1, "equal (truncated)"),
        (7.41, 7.5, 1, "differs"),
        (9.36, 9.4, 1, "equal"),
        (74.95, 75, 0, "equal"),
        (0.25, 0.2, 1, "equal"),  # a tie: some round to 0.2, some to 0.3
        (0.25, 0.3, 1, "equal"),
        (0.04, 0, 1, "equal"),
        (0.4, 0, None, "equal"),
        (0.6, 0, None, "equal (truncated)"),
        (1.0, 0, None, "differs"),
        (-2.37, -2.4, 1, "equal"),
        (-2.37, -2.3, 1, "equal (truncated)"),
        (-2.37, 2.4, 1, "differs"),
    ],
)
def test_agreement_to_the_printed_digits(measured, shown, places, verdict):
    assert t.agrees(measured, shown, places) == verdict


@settings(deadline=None)
@given(st.floats(1e-3, 1e12), st.integers(1, 6))
def test_a_number_agrees_with_itself_printed_at_any_length(value, significant):
    shown = float(f"{value:.{significant - 1}e}")
    places = significant - 1 - math.floor(math.log10(value))
    assert t.agrees(value, shown, places) == "equal"


@settings(deadline=None)
@given(st.floats(1.0, 1e12), st.integers(1, 6))
def test_one_unit_away_in_the_last_digit_never_counts_as_rounded(value, significant):
    exponent = math.floor(math.log10(value))
    places = significant - 1 - exponent
    unit = 10.0**-places
    shown = float(f"{value:.{significant - 1}e}") + unit
    assume(abs(value - shown) > 0.51 * unit)
    assert t.agrees(value, shown, places) == "differs"


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (313000000.0, None, "3.13e8"),
        (15000000.0, None, "1.5e7"),
        (1.99e7, None, "1.99e7"),
        (34.2, None, "34.2"),
        (6.6, 2, "6.60"),
        (1728, None, "1.728e3"),
        (0, None, "0"),
        (None, None, "–"),
        (float("nan"), 2, "–"),
    ],
)
def test_how_a_printed_number_is_shown(value, places, text):
    assert t.number(value, places) == text


def test_spread_is_the_mean_and_the_sample_standard_deviation():
    # 6, 7, 8 percent: mean 7, deviations -1, 0, 1: sqrt(2 / 2) = 1.
    assert t.spread([0.06, 0.07, 0.08]) == "7.00 ± 1.00"
    assert t.spread([0.0675]) == "6.75"
    assert t.spread([]) == "not measured"
    assert t.spread([1, 3], scale=1, places=1) == "2.0 ± 1.4"  # sqrt((1 + 1) / 1)
    assert t.spread(iter([0.5, 0.5])) == "50.00 ± 0.00"


def test_ranged_is_the_mean_and_the_lowest_to_the_highest():
    assert t.ranged([6.0, 7.0, 9.5]) == "7.50 (6.00 to 9.50)"
    assert t.ranged(iter([1.04, 1.0]), "{:.1f}x") == "1.0x"
    assert t.ranged([]) == "not measured"


def test_a_remembered_number_is_never_shown(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    marks = ["source", "recalled", "computed", "unknown", "seed", "inferred", None]
    frame = pd.DataFrame({"value": range(len(marks)), "confidence": marks})
    frame.to_csv(tmp_path / "toy" / "table9.csv", index=False)
    monkeypatch.setattr(t, "PAPERS", tmp_path)
    assert t.printed("toy", "table9").confidence.tolist() == ["source", "computed", "seed"]


def test_no_committed_table_shows_a_remembered_number():
    files = sorted(t.PAPERS.glob("*/*.csv"))
    assert files
    for path in files:
        shown = t.printed(path.parent.name, path.stem)
        assert not shown.confidence.isin(["recalled", "unknown"]).any()


def test_a_missing_table_is_named():
    with pytest.raises(FileNotFoundError, match="printed: no table `table7` of `filter_norm`"):
        t.printed("filter_norm", "table7")


def row(kind, label="a", preset="quick", device="cpu", seed=0, budget=None, **values):
    task = {"kind": kind, "criterion": "l1"}
    recipe = {"task": task, "budget": budget}
    return {"recipe": recipe, "label": label, "preset": preset, "seed": seed, "device": device,
            "values": values}  # fmt: skip


def test_rows_are_found_by_kind_label_and_preset():
    rows = [row("prune"), row("prune", "b"), row("scan"), row("prune", preset="paper")]
    assert t.of_kind(rows, "prune") == [rows[0], rows[1], rows[3]]
    assert t.of_kind(rows, "prune", "a") == [rows[0], rows[3]]
    assert t.of_kind(rows, "prune", "a", "paper") == [rows[3]]
    assert t.of_kind(rows, "count") == []


def test_only_rows_of_recipes_as_they_are_now_count_and_under_their_labels_of_now():
    rows = [row("prune", "old name") | {"key": key} for key in ("k1", "k2")]

    def recipes(preset, seeds):
        return {"a part": [SimpleNamespace(key=f"k{seed + 1}", label="new name") for seed in seeds]}

    assert t.current(rows, recipes) == [rows[0] | {"label": "new name"}]
    assert rows[0]["label"] == "old name"


def test_errors_are_what_accuracies_leave():
    rows = [row("prune", accuracy=0.75), row("prune", accuracy=0.5), row("count", macs=1)]
    assert t.errors(rows) == [0.25, 0.5]
    assert t.errors(rows, "best_accuracy") == []


def test_where_names_each_device_and_precision_once():
    budget = {"precision": "bfloat16"}
    rows = [row("count"), row("prune", budget=budget), row("prune", "b", budget=budget)]
    assert t.where(rows) == "cpu, bfloat16; cpu, counted"
    assert t.where([]) == "–"


def test_points_of_scans_carry_label_criterion_seed_and_the_whole_networks_accuracy():
    points = [{"group": "conv1", "ratio": 0.5, "accuracy": 0.5}]
    frame = t.points([row("scan", seed=2, accuracy=0.9, points=points)])
    assert frame.to_dict("records") == [
        {**points[0], "label": "a", "seed": 2, "criterion": "l1", "whole": 0.9}
    ]
    assert t.points([]).empty


def test_a_run_is_within_print_only_if_nothing_is_above_to_the_digits_that_are_printed():
    printed = {"error": 1.6, "weights": 3.59, "macs": 0.094, "blank": float("nan")}
    good = {"error": 1.6, "weights": 3.591, "macs": 0.0942, "blank": 7.0}
    assert t.within([good], printed) == "within print in 1 of 1 seeds"
    for name, value in {"error": 1.61, "weights": 3.596, "macs": 0.0946}.items():
        assert t.within([good, good | {name: value}], printed) == "within print in 1 of 2 seeds"

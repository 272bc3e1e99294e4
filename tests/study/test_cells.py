"""Cells say what they are: the text of each, the rows it comes from, and how the page sets it."""

import pandas as pd
import pytest

from prunelab.study.cells import Missing, Number, Numbers, Printed, Range, Spread, Text, Verdict
from prunelab.study.pages import report


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
    assert str(Printed(value, places)) == text


def test_a_printed_number_may_have_a_unit_and_a_blank_has_none():
    assert str(Printed(108.0, unit="x")) == "108x"
    assert str(Printed(None, unit="x")) == "–"


def test_a_spread_is_the_mean_and_the_sample_standard_deviation():
    # 6, 7, 8: mean 7, deviations -1, 0, 1: sqrt(2 / 2) = 1.
    assert str(Spread((6, 7, 8))) == "7.00 ± 1.00"
    assert str(Spread((6.75,))) == "6.75"
    assert str(Spread((1, 3), "{:.1f}")) == "2.0 ± 1.4"  # sqrt((1 + 1) / 1)
    assert str(Spread((50, 50))) == "50.00 ± 0.00"


def test_a_range_is_the_mean_and_the_lowest_to_the_highest():
    assert str(Range((6.0, 7.0, 9.5))) == "7.50 (6.00 to 9.50)"
    assert str(Range((1.04, 1.0), "{:.1f}x")) == "1.0x"


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (Number(1234, "{:,}"), "number"),
        (Spread((1.4, 1.6)), "number"),
        (Range((111.5, 114.5), "{:.1f}x"), "number"),
        (Numbers("97-71-33"), "number"),
        (Printed(3.59), "number"),
        (Printed(None), "text"),
        (Missing("prunelab run 01"), "none"),
        (Text("about 3 (1 to 5)"), "text"),
        ("6.60", "text"),  # nothing is read out of a text
        (6.6, "number"),
        (3, "number"),
        (float("nan"), "text"),
        (None, "text"),
        (Verdict("agrees", "equal"), "chip agrees"),
    ],
)
def test_the_page_sets_a_cell_by_its_type(cell, kind):
    assert report.kind(cell) == kind


def test_a_column_with_a_number_is_set_as_numbers():
    frame = pd.DataFrame({"row": ["r", "s"], "a": [Spread((1, 2)), "x"]})
    assert report.kinds(frame) == ["", "number"]


def test_the_page_knows_the_commands_of_what_is_missing():
    frame = pd.DataFrame(
        {
            "ours": [Number(1, rows=("k1", "k2")), Missing("run 01"), Missing()],
            "verdict": [Verdict("agrees", "equal"), Verdict("missing", "no", "run 01"), "x"],
        }
    )
    assert report.commands(frame) == ["run 01"]

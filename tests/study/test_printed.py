"""Printed numbers: which are shown, and how a measured value meets them."""

import math
import re

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from prunelab.study import printed
from prunelab.study.cells import digits


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
    assert digits(value) == count


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
    assert printed.agrees(measured, shown, places) == verdict


@settings(deadline=None)
@given(st.floats(1e-3, 1e12), st.integers(1, 6))
def test_a_number_agrees_with_itself_printed_at_any_length(value, significant):
    shown = float(f"{value:.{significant - 1}e}")
    places = significant - 1 - math.floor(math.log10(value))
    assert printed.agrees(value, shown, places) == "equal"


@settings(deadline=None)
@given(st.floats(1.0, 1e12), st.integers(1, 6))
def test_one_unit_away_in_the_last_digit_never_counts_as_rounded(value, significant):
    exponent = math.floor(math.log10(value))
    places = significant - 1 - exponent
    unit = 10.0**-places
    shown = float(f"{value:.{significant - 1}e}") + unit
    assume(abs(value - shown) > 0.51 * unit)
    assert printed.agrees(value, shown, places) == "differs"


def test_a_remembered_number_is_never_shown(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    marks = ["source", "recalled", "computed", "unknown", "seed"]
    frame = pd.DataFrame({"value": range(len(marks)), "confidence": marks})
    frame.to_csv(tmp_path / "toy" / "table9.csv", index=False)
    monkeypatch.setattr(printed, "PAPERS", tmp_path)
    assert printed.printed("toy", "table9").confidence.tolist() == ["source", "computed", "seed"]


@pytest.mark.parametrize("word", ["sorce", "Source", "", "1"])
def test_an_unknown_confidence_is_refused_with_its_file_and_the_words_allowed(
    word, tmp_path, monkeypatch
):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "t.csv").write_text(f"value,confidence\n1,source\n2,{word}\n")
    monkeypatch.setattr(printed, "PAPERS", tmp_path)
    told = (
        "printed: column `confidence` of `toy/t.csv` must be one of source, computed, seed,"
        f" recalled, unknown; got {word!r} (line 3)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        printed.printed("toy", "t")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("value,confidense\n1,source\n", "no column `confidence`; it has: value, confidense$"),
        ("value,confidence\n1,source\n1,2,source\n", "`toy/t.csv` is not a table"),
        ("", "`toy/t.csv` is not a table"),
    ],
)
def test_what_is_no_printed_table_is_one_line(text, told, tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "t.csv").write_text(text)
    monkeypatch.setattr(printed, "PAPERS", tmp_path)
    with pytest.raises(ValueError, match=told) as error:
        printed.printed("toy", "t")
    assert "\n" not in str(error.value)


def test_no_committed_table_shows_a_remembered_number():
    files = sorted(printed.PAPERS.glob("*/*.csv"))
    assert files
    for path in files:
        shown = printed.printed(path.parent.name, path.stem)
        assert not shown.confidence.isin(["recalled", "unknown"]).any()


def test_a_missing_table_is_named():
    with pytest.raises(FileNotFoundError, match=r"filter_norm/table7\.csv"):
        printed.printed("filter_norm", "table7")

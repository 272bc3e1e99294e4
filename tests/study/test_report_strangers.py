"""The report of a run folder that a stranger made: texts are texts, faults are one line."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from test_report import PAPER, build, project, row, write_rows  # noqa: F401

from prunelab.study.pages import report

EVIL = '<script>alert("x")</script>\ud800'
SHOWN = '<script>alert("x")</script>?'


def tables(rows):
    return {EVIL: pd.DataFrame({EVIL: [EVIL], "verdict": [EVIL]})}


def test_every_text_of_a_run_folder_is_only_a_text(project):  # noqa: F811
    entry = {"status": "failed", "seconds": 1.0, "preset": EVIL, "device": EVIL, "error": EVIL,
             "date": EVIL, "hash": EVIL}  # fmt: skip
    (project / "runs/quick/state.json").write_text(json.dumps({"01-filter-norm": entry}))
    texts = dict.fromkeys(("label", "device", "device_name", "seconds", "commit", "date"), EVIL)
    write_rows(project / "runs/quick/ledger", {**row(), **texts, "key": EVIL})
    (project / "runs/quick/figures/01-filter-norm--<b onload=x>.svg").write_text("<svg/>")
    paper = SimpleNamespace(**{**vars(PAPER), "tables": tables})
    text, page = build(project, {"filter_norm": paper})
    assert "<script" not in text.lower() and "<b onload" not in text
    assert page.texts.count(SHOWN) >= 8


@pytest.mark.parametrize("out", [None, 5, b"x", "", ["a"]])
def test_what_is_no_folder_is_one_line(out):
    with pytest.raises((TypeError, ValueError), match=r"^report: `out` must be a path; got "):
        report.build(out)


def test_a_row_that_makes_no_table_is_one_line_with_its_files(project):  # noqa: F811
    write_rows(project / "runs/quick/ledger", {**row(), "values": {}})
    told = (
        r"^report: the values of a row in .*quick/ledger/filter_norm\.jsonl` make no table \(KeyErr"
    )
    with pytest.raises(ValueError, match=told) as error:
        build(project)
    assert "\n" not in str(error.value) and "measured again" in str(error.value)

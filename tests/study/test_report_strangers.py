"""The report of a run folder that a stranger made: texts are texts, faults are one line."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from test_report import PAPER, build, project, row, write_rows  # noqa: F401

from prunelab.study.pages import report

EVIL = '<script>alert("x")</script>\ud800'
ALIGNED = r"\begin{aligned} a &= b && \text{first} \\ c &\le \mathbb{E}\, d \end{aligned}"
SHOWN = '<script>alert("x")</script>?'


def tables(rows):
    text = rows[0]["label"]
    return {text: pd.DataFrame({text: [text], "verdict": [text]})}


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


SPACE = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
ACTS = [
    "<script>alert(1)</script>",
    '<rect onload="alert(1)"/>',
    '<a href="javascript:alert(1)"><rect/></a>',
    '<image href="http://e/x.png"/>',
    "<style>@import url(http://e/x)</style>",
    '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>',
    "<text>&lt;/svg&gt;&lt;script&gt;alert(1)&lt;/script&gt;</text>",
]


@pytest.mark.parametrize("inside", ACTS)
def test_a_drawing_stands_in_the_page_as_an_image_where_nothing_acts_or_loads(inside, project):  # noqa: F811
    drawing = f"<svg {SPACE}>{inside}</svg>"
    place = project / "runs/quick/figures/01-filter-norm--curves.svg"
    place.write_text(drawing)
    text, page = build(project)
    (address,) = (a for a in page.addresses if a.startswith("data:"))
    kind, _, content = address.partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content).decode() == drawing
    assert "alert" not in text and "<svg" not in text and "http:" not in text


@pytest.mark.parametrize("out", [None, 5, b"x", "", ["a"]])
def test_what_is_no_folder_is_one_line(out):
    with pytest.raises((TypeError, ValueError), match=r"^report: `out` must be a path; got "):
        report.build(out)


def test_the_idea_of_a_notebook_is_on_the_page_with_its_equations_as_pictures(project):  # noqa: F811
    path = project / "notebooks/01-filter-norm.ipynb"
    text = f"## The idea\n\nA score $s_j < 1$,\n\n$$\n{ALIGNED}\n$$\n\n## The algorithm, as it runs"
    cells = [nbformat.v4.new_markdown_cell(t) for t in ("# Filters & norms", text)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    text, page = build(project)
    assert "The idea" in page.texts and "The algorithm, as it runs" not in page.texts
    assert 'alt="s_j &lt; 1"' in text and "$$" not in text and "s_j$" not in text
    inline, block = (base64.b64decode(a.partition(",")[2]) for a in page.addresses if "svg" in a)
    assert len(block) > 2 * len(inline) > 1000, "glyphs are drawn, so no font is needed"


@pytest.mark.parametrize(
    "text",
    [
        EVIL.removesuffix("\ud800"),
        r"$\begin{aligned} \frac{$",
        "![x](http://e/x.png)",
        "[x](javascript:alert)",
        '$</code><script>alert("x")</script>$',
    ],
)
def test_an_idea_that_a_stranger_wrote_neither_acts_nor_loads(text, project):  # noqa: F811
    cells = [nbformat.v4.new_markdown_cell(f"# Filters\n\n## The idea\n\n{text}")]
    path = project / "notebooks/01-filter-norm.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    text, page = build(project)
    assert "<script" not in text and "The idea" in page.texts
    inside = "data:image/svg+xml;base64,"
    assert not [a for a in page.addresses if ":" in a and not a.startswith((inside, "#harmful"))]


def test_tables_that_cannot_be_made_are_one_line_with_the_files_of_rows(project):  # noqa: F811
    write_rows(project / "runs/quick/ledger", {**row(), "values": {}})
    told = (
        r"^report: the tables of `filter_norm` cannot be made \(KeyErr.*quick/ledger` or `data/le"
    )
    with pytest.raises(ValueError, match=told) as error:
        build(project)
    assert "\n" not in str(error.value) and "measured again" in str(error.value)


def test_the_number_of_another_notebook_is_refused(project):  # noqa: F811
    said = replace(PAPER.said, notebook="02")
    paper = SimpleNamespace(**{**vars(PAPER), "said": said})
    told = "`notebook` in `filter_norm/study.toml` must be the number of `01-filter-norm`; got '02'"
    with pytest.raises(ValueError, match=told):
        build(project, {"filter_norm": paper})

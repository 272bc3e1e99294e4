"""The report: one page that says everything and loads nothing."""

import base64
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from prunelab.study.cells import Missing, Number, Verdict
from prunelab.study.pages import report
from prunelab.study.printed import Said

VOID = {"meta", "link", "img", "br", "wbr", "hr", "input"}


class Page(HTMLParser):
    """Ids, addresses, links to other places and texts; complains about tags out of balance."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses, self.links, self.texts, self.open = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if (tag, name) == ("a", "href") and value.startswith("https://"):
                self.links.append(value)  # nothing is loaded until a reader follows it
            elif name in ("href", "src", "srcset", "poster", "data", "action", "xlink:href"):
                self.addresses.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text.strip())


def table(rows):
    measured = [Number(row["values"]["error"], rows=(row["key"],)) for row in rows]
    measured = measured or [Missing("prunelab run 01 --preset quick")]
    frame = pd.DataFrame({"row": ["VGG <16>"] * len(measured), "ours": measured})
    verdict = [Verdict("differs", "differs")] * len(measured)
    return frame.assign(printed="6.60", verdict=verdict)


def tables(rows):
    return {"Table 1: overall": table(rows)}


SAID = Said(
    "01",
    "Filters by norm",
    "Li & others. 2017",
    ["We train <shorter> & say so."],
    {"curves": "Norm curves < 1"},
    links={"paper": "https://arxiv.org/abs/1608.08710"},
    further={"More & more": "https://arxiv.org/abs/2003.03033"},
)
PAPER = SimpleNamespace(said=SAID, tables=tables)


@pytest.fixture
def project(tmp_path):
    for folder in ("prunelab", "notebooks", "figures", "data/ledger", "runs/quick/figures"):
        (tmp_path / folder).mkdir(parents=True)
    for name, title in (("00-start-here", "Start"), ("01-filter-norm", "Filters & norms")):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# {title}")])
        nbformat.write(book, tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "runs/quick/state.json").write_text(
        json.dumps(
            {
                "01-filter-norm": {
                    "status": "ok",
                    "seconds": 41.2,
                    "preset": "quick",
                    "device": "cpu",
                    "date": "2025-03-04T05:06:07+00:00",
                }
            }
        )
    )
    return tmp_path


def row(key="aaaaaaaaaaaa", error=6.75, preset="quick"):
    return {
        "key": key,
        "values": {"error": error},
        "label": "vgg-16 pruned-A",
        "preset": preset,
        "seed": 3,
        "device": "cpu",
        "seconds": 12.5,
        "commit": "c0ffee",
        "recipe": {"task": {"kind": "prune"}},
        "date": "2025-01-01",
    }


def write_rows(folder, *rows):
    folder.mkdir(exist_ok=True)
    (folder / "filter_norm.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def build(project, papers=None):
    papers = {"filter_norm": PAPER} if papers is None else papers
    page = report.build(project / "runs/quick", root=project, papers=papers)
    text = page.read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_shows_rows_deviations_times_and_versions(project):
    write_rows(project / "data/ledger", row("b" * 12, 7.25, "standard"), row(error=1.0))
    write_rows(project / "runs/quick/ledger", row())
    text, page = build(project)
    said = page.texts
    for expected in ("Filters & norms", "Li & others. 2017", "We train <shorter> & say so."):
        assert expected in said
    for expected in ("6.75", "7.25", "6.60", "≠ differs", "c0ffee", "aaaaaaaaaaaa", "41.2 s"):
        assert expected in said
    assert "1.00" not in said, "the run's own row stands before a committed one of the same key"
    assert "2025-03-04" in said and "VGG <16>" in said and "<16>" not in text
    assert 'title="rows bbbbbbbbbbbb"' in text
    assert "torch" in next(t for t in said if t.startswith("Python 3"))
    assert {"committed", "this run"} <= set(said)


def test_what_is_missing_says_so_with_the_command(project):
    _, page = build(project)
    assert "not measured" in page.texts
    assert "prunelab run 01 --preset quick" in page.texts
    assert "– not run" in page.texts


def test_the_page_loads_nothing_and_every_link_has_a_target(project):
    figure(project / "figures/01-filter-norm--curves.svg")
    figure(project / "figures/01-filter-norm--other-view.svg")
    figure(project / "figures/00-start-here--group.png")
    text, page = build(project)
    assert not re.search(r"<(script|link|iframe|object|embed|base)\b|@import|url\(", text)
    assert page.links == [*SAID.links.values(), *SAID.further.values()]
    assert {"arxiv.org/abs/1608.08710", "More & more"} <= set(page.texts)
    assert str(project) not in text
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        local = address.startswith("#") and address[1:] in page.ids
        inside = address.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,"))
        assert local or inside or (project / "runs/quick" / address).is_file()  # the explorer
    assert "Norm curves < 1" in page.texts and "Other view" in page.texts


def figure(path):
    with plt.rc_context({"svg.fonttype": "path"}):
        fig, axes = plt.subplots(figsize=(3, 2))
        axes.plot([0, 1], [1, 0], label="l1", marker="o")
        axes.set(xlabel="filters pruned away (%)", ylabel="accuracy (%)")
        fig.savefig(path)
        plt.close(fig)


def test_the_runs_figure_stands_before_the_committed_one(project):
    for folder, word in (("figures", "old"), ("runs/quick/figures", "new")):
        path = project / folder / "01-filter-norm--curves.svg"
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg"><text>{word}</text></svg>')
    _, page = build(project)
    (address,) = (a for a in page.addresses if a.startswith("data:"))
    assert b"new" in base64.b64decode(address.partition(",")[2])


def test_tables_of_settings_stand_at_the_end_of_their_section(project):
    chosen = "How the settings were chosen"
    paper = SimpleNamespace(said=SAID, tables=lambda rows: {chosen: table(rows)} | tables(rows))
    text, page = build(project, {"filter_norm": paper})
    order = ["Table 1: overall", "What differs from the paper", chosen, "Measured rows: 0"]
    body = [word for word in page.texts[page.texts.index("Li & others. 2017") :] if word in order]
    assert body == order
    folded = text[text.index("<details>") :]
    assert folded.index(chosen) < folded.index("</details>")


def test_a_broken_state_is_refused_in_one_line(project):
    (project / "runs/quick/state.json").write_text("{")
    with pytest.raises(ValueError, match=r"report: .*state\.json is not the state"):
        build(project)


def test_the_real_papers_make_a_page_from_no_rows(project):
    _, page = build(project, papers=report._papers())
    for paper in report._papers().values():
        assert set(paper.said.deviations) <= set(page.texts)
        assert paper.said.citation in page.texts


@pytest.mark.parametrize("text", ["[1, 2]", "5", "null", '{"01": {}}', '{"01": null}'])
def test_a_state_that_is_none_is_named(text, tmp_path):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(ValueError, match=r"state\.json is not the state of a run"):
        report.build(tmp_path)

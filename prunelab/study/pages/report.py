"""One HTML page of a run: all tables beside the printed numbers, all figures, all deviations.

The page is self-contained: styles and figures are inside, and it loads nothing. All it shows comes
from ledger rows, figure files and the studies.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import pandas as pd

from prunelab import checks, paths
from prunelab.study.pages.page import Figure, commands, figures, kind, kinds
from prunelab.study.runner import notebook
from prunelab.study.runner.notebook import Notebook
from prunelab.study.runner.state import entries

if TYPE_CHECKING:
    from prunelab.study.study import Study

PACKAGES = ("prunelab", "torch", "torchvision", "numpy", "pandas", "matplotlib")


@dataclass
class Section:
    """The part of the page about one notebook and its paper."""

    name: str
    title: str
    paper: Study | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)


def build(
    out: str | Path,
    *,
    root: Path | None = None,
    papers: Mapping[str, Study] | None = None,
) -> Path:
    """Write `<out>/report.html`.

    Args:
        out: folder of a run; what it lacks is taken from the committed ledger and figures.
        root: the project; found by itself otherwise.
        papers: stem -> study; by default all of `prunelab.study.papers`.

    Returns:
        The page's path.

    Raises:
        TypeError: `out` is no path. ValueError: a ledger line or a state that cannot be read.
        OSError: `out` cannot be written.
    """
    out, root = checks.path("report", "out", out), root or paths.project()
    papers = _papers() if papers is None else papers
    state = _entries(out / "state.json")
    books = notebook.notebooks(root)
    sections = [_section(book, papers.get(book.stem), out, root) for book in books]
    sections = [section for section in sections if section.paper or section.figures]
    covered = {book.stem for book in books}
    for stem in sorted(set(papers) - covered):
        section = Section(stem, papers[stem].said.title, papers[stem])
        sections.append(_measured(section, stem, out, root))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"kind": kind, "kinds": kinds, "commands": commands}
    template = environment.get_template("report.html")
    page = template.render(sections=sections, **_header(state, books, sections))
    paths.write_text(out / "report.html", page, "report")
    return out / "report.html"


def _entries(path: Path) -> dict[str, dict]:
    try:
        return entries(path)
    except ValueError as error:
        raise ValueError(f"report: {error}; delete it and run again") from None


def _papers() -> dict[str, Study]:
    from prunelab.study.papers import studies  # they wait for torch

    return studies()


def _header(state: Mapping, books: Sequence[Notebook], sections: Sequence[Section]) -> dict:
    def each(name: str) -> str:
        return ", ".join(sorted({str(entry[name]) for entry in state.values() if name in entry}))

    dates = [e.get("date", "") for e in state.values()]
    dates += [row.get("date", "") for section in sections for row in section.rows]
    versions = {package: version(package) for package in PACKAGES}
    return {
        "preset": each("preset") or "committed results",
        "device": each("device") or "as each row says",
        "date": max(dates, default="")[:10] or "no row yet",
        "versions": {"Python": platform.python_version()} | versions,
        "runs": [{"name": b.name, "title": b.title, **state.get(b.name, {})} for b in books],
        "total": sum(state[b.name]["seconds"] for b in books if b.name in state),
    }


def _section(book: Notebook, paper: Study | None, out: Path, root: Path) -> Section:
    section = Section(book.name, book.title, paper)
    if paper and paper.said.notebook != book.name.partition("-")[0]:
        raise ValueError(
            f"report: `notebook` in `{book.stem}/study.toml` must be the number of `{book.name}`;"
            f" got {paper.said.notebook!r}"
        )
    section.figures = figures(book.name, paper.said.captions if paper else {}, out, root)
    return _measured(section, book.stem, out, root) if paper else section


def _measured(section: Section, stem: str, out: Path, root: Path) -> Section:
    section.rows = _rows(stem, out, root)
    try:
        section.tables = section.paper.tables(section.rows)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(
            f"report: the tables of `{stem}` cannot be made ({error!r:.80}): its study or its"
            f" printed tables are wrong, or a row in `{out / 'ledger'}` or `data/ledger` lacks what"
            " they read; a row that is deleted is measured again"
        ) from error
    return section


def _rows(stem: str, out: Path, root: Path) -> list[dict]:
    """Committed rows and those of this run, which replace committed ones of the same key."""
    from prunelab.study import ledger

    found = {}
    for place, origin in ((root / "data" / "ledger", "committed"), (out / "ledger", "this run")):
        for row in ledger.read(place / f"{stem}.jsonl"):
            found[row["key"]] = {**row, "origin": origin}
    return list(found.values())

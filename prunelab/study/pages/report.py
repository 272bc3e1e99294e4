"""One HTML page of a run: all tables beside the printed numbers, all figures, all deviations.

The page is self-contained: styles and figures are inside, and it loads nothing. All it shows comes
from ledger rows, figure files and the studies.
"""

from __future__ import annotations

import base64
import glob
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from prunelab import checks, paths
from prunelab.study import cells
from prunelab.study.pages import idea
from prunelab.study.runner import notebook
from prunelab.study.runner.notebook import Notebook
from prunelab.study.runner.state import entries

if TYPE_CHECKING:
    from prunelab.study.claims import Claim
    from prunelab.study.study import Study

KINDS = {".png": "png", ".svg": "svg+xml"}  # of pictures
EXPLORER = "explorer.html"
APPENDIX = "How "  # begins the title of a table that says how settings were chosen
PACKAGES = ("prunelab", "torch", "torchvision", "numpy", "pandas", "matplotlib")


@dataclass(frozen=True)
class Figure:
    """A picture on the page.

    Attributes:
        caption: what it shows.
        origin: "committed" or "this run".
        address: the picture itself, as a data address: as an image, it runs and loads nothing.
        is_wide: whether it needs the page's whole width: panels side by side would be too small.
    """

    caption: str
    origin: str
    address: str
    is_wide: bool


@dataclass
class Section:
    """The part of the page about one notebook and its paper."""

    name: str
    title: str
    paper: Study | None = None
    ideas: list[tuple[str, str]] = field(default_factory=list)  # heading, HTML
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    appendix: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


def build(
    out: str | Path,
    *,
    root: Path | None = None,
    papers: Mapping[str, Study] | None = None,
) -> Path:
    """Write `<out>/report.html`, and beside it the explorer that needs no kernel.

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
    from prunelab.study import claims  # they wait for torch
    from prunelab.study.pages import explorer

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
    environment.globals |= {
        "kind": kind,
        "kinds": kinds,
        "commands": commands,
        "lines": claims.lines,
    }
    environment.globals["explorer"] = EXPLORER
    template = environment.get_template("report.html")
    page = template.render(sections=sections, **_header(state, books, sections))
    paths.write_text(out / "report.html", page, "report")
    explorer.write(out / EXPLORER)
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
    from prunelab.study import claims

    return {
        "reproduced": [(s, claims.counted(s.claims)) for s in sections if s.claims],
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
    captions = paper.said.captions if paper else book.captions
    section.ideas = [*idea.sections(book)] if paper else []
    section.figures = figures(book.name, captions, out, root)
    return _measured(section, book.stem, out, root) if paper else section


def _measured(section: Section, stem: str, out: Path, root: Path) -> Section:
    from prunelab.study import claims  # it waits for torch

    section.rows = _rows(stem, out, root)
    try:
        tables = section.paper.tables(section.rows)
        section.appendix = {t: tables[t] for t in tables if t.startswith(APPENDIX)}
        section.tables = {t: tables[t] for t in tables if t not in section.appendix}
        section.claims = [*claims.of(section.paper, section.rows).values()]
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


def kind(cell: Any) -> str:
    """The style of a cell, by its type alone: chip and its verdict, none, number or text."""
    match cell:
        case cells.Verdict():
            return f"chip {cell.kind}"
        case cells.Missing():
            return "none"
        case cells.Printed(is_blank=True):
            return "text"
        case cells.Number() | cells.Printed() | cells.Range() | cells.Spread() | cells.Numbers():
            return "number"
        case Real():
            return "number" if cell == cell else "text"
    return "text"


def kinds(frame: pd.DataFrame) -> list[str]:
    """Style of each column: "number" if it has any number."""
    return ["number" if "number" in map(kind, frame[name]) else "" for name in frame]


def commands(frame: pd.DataFrame) -> list[str]:
    """The commands that measure the missing cells."""
    found = [getattr(cell, "command", "") for cell in frame.to_numpy().flat]
    return list(dict.fromkeys(filter(None, found)))


def figures(name: str, captions: Mapping[str, str], out: Path, root: Path) -> list[Figure]:
    """Figures of a notebook in the order of its captions; this run's replace committed ones."""
    files: dict[str, tuple[Path, str]] = {}
    for folder, origin in ((root / "figures", "committed"), (out / "figures", "this run")):
        for path in sorted(folder.glob(f"{glob.escape(name)}--*")):
            if path.suffix in KINDS:
                files[path.stem.partition("--")[2]] = path, origin
    order = list(captions)
    views = sorted(files, key=lambda v: (order.index(v) if v in order else len(order), v))
    return [_figure(view, captions.get(view), *files[view]) for view in views]


def _figure(view: str, caption: str | None, path: Path, origin: str) -> Figure:
    content = path.read_bytes()
    address = f"data:image/{KINDS[path.suffix]};base64,{base64.b64encode(content).decode()}"
    box = re.search(rb'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', content[:2000])
    wide = bool(box and float(box[1]) > 1.7 * float(box[2]))
    return Figure(caption or view.replace("-", " ").capitalize(), origin, address, wide)

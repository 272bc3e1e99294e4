"""One HTML page of a run: every printed row beside ours, every figure, every deviation.

The page needs nothing but itself: styles are inside, figures are inlined, no address is loaded.
What it shows comes from ledger rows, figure files and the paper modules; nothing is typed here.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from prunelab import paths
from prunelab.study import notebook
from prunelab.study.notebook import Notebook
from prunelab.study.page import Table, figures, table
from prunelab.study.state import is_state
from prunelab.study.worker import write_atomically

PACKAGES = ("prunelab", "torch", "torchvision", "numpy", "pandas", "matplotlib")


@dataclass
class Section:
    """What the page says about one notebook and its paper."""

    name: str
    title: str
    run: str = ""
    preset: str = "standard"
    paper: ModuleType | None = None
    tables: list[Table] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

    def stated(self, name: str, default: Any = "") -> Any:
        """`TITLE`, `CITATION` or `DEVIATIONS` of the paper's module."""
        return getattr(self.paper, name, default)


def build(
    out: str | Path,
    *,
    root: Path | None = None,
    papers: Mapping[str, ModuleType] | None = None,
) -> Path:
    """Write `<out>/report.html`.

    Args:
        out: folder of a run; what it lacks is taken from the committed ledger and figures.
        root: the project; found by itself otherwise.
        papers: stem -> module with TITLE, CITATION, DEVIATIONS and tables(rows); by default all of
            `prunelab.study.papers`. A module may have CAPTIONS: view -> caption.

    Returns:
        The page's path.

    Raises:
        ValueError: a ledger line or a state that cannot be read. OSError: `out` cannot be written.
    """
    out, root = Path(out), root or paths.project()
    papers = _papers() if papers is None else papers
    state = _state(out)
    presets = [entry["preset"] for entry in state.values() if "preset" in entry]
    books = notebook.notebooks(root)
    sections = [_section(book, papers.get(book.stem), out, root, presets) for book in books]
    sections = [section for section in sections if section.paper or section.figures]
    covered = {book.stem for book in books}
    for stem in sorted(set(papers) - covered):
        section = Section(stem, getattr(papers[stem], "TITLE", stem), paper=papers[stem])
        sections.append(_measured(section, stem, out, root))
    template = _environment().get_template("report.html")
    page = template.render(sections=sections, **_header(state, books, sections))
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "report.html", page)
    return out / "report.html"


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    return jinja2.Environment(loader=loader, autoescape=True, **options)


def _papers() -> dict[str, ModuleType]:
    from prunelab.study import papers

    names = [found.name for found in pkgutil.iter_modules(papers.__path__)]
    modules = {name: importlib.import_module(f"{papers.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "tables")}


def _state(out: Path) -> dict[str, dict]:
    path = out / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"report: {path} is not JSON: {error}") from None
    if not is_state(state):
        raise ValueError(f"report: {path} is not the state of a run; delete it and run again")
    return state


def _header(state: Mapping, books: Sequence[Notebook], sections: Sequence[Section]) -> dict:
    def each(name: str) -> str:
        return ", ".join(sorted({str(entry[name]) for entry in state.values() if name in entry}))

    dates = [e.get("date", "") for e in state.values()]
    dates += [row.get("date", "") for section in sections for row in section.rows]
    return {
        "preset": each("preset") or "committed results",
        "device": each("device") or "as each row says",
        "date": max(dates, default="")[:10] or "no row yet",
        "versions": _versions(),
        "runs": [{"name": b.name, "title": b.title, **state.get(b.name, {})} for b in books],
        "total": sum(state[b.name]["seconds"] for b in books if b.name in state),
    }


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _section(
    book: Notebook, paper: ModuleType | None, out: Path, root: Path, presets: Sequence[str]
) -> Section:
    preset = presets[0] if presets else "standard"
    section = Section(book.name, book.title, f"prunelab run {book.number}", preset, paper)
    section.figures = figures(book.name, section.stated("CAPTIONS", {}), out, root)
    return _measured(section, book.stem, out, root) if paper else section


def _measured(section: Section, stem: str, out: Path, root: Path) -> Section:
    section.rows = _rows(stem, out, root)
    frames = section.paper.tables(section.rows)
    section.tables = [table(title, frame) for title, frame in frames.items()]
    return section


def _rows(stem: str, out: Path, root: Path) -> list[dict]:
    """Committed rows and this run's; of equal keys this run's stands."""
    from prunelab.study import ledger

    found = {}
    for place, origin in ((root / "data" / "ledger", "committed"), (out / "ledger", "this run")):
        for row in ledger.read(place / f"{stem}.jsonl"):
            found[row["key"]] = {**row, "origin": origin}
    return list(found.values())

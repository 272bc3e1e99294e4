"""One HTML page of a run: every printed row beside ours, every figure, every deviation.

The page needs nothing but itself: styles are inside, figures are inlined, no address is loaded.
What it shows comes from ledger rows, figure files and the paper modules; nothing is typed here.
"""

from __future__ import annotations

import base64
import importlib
import json
import pkgutil
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from prunelab.study import notebook
from prunelab.study.notebook import Notebook
from prunelab.study.plan import PRESETS
from prunelab.study.worker import write_atomically

PACKAGES = ("prunelab", "torch", "torchvision", "numpy", "pandas", "matplotlib")
MISSING = "not measured"
# Verdicts are words; a sign and a colour only repeat them. First match wins.
VERDICTS = (
    ("missing", "–", r"not measured|missing|no row"),
    ("differs", "≠", r"differ|outside|disagree|not (equal|reproduced|within)|misprint|below|above"),
    ("agrees", "✓", r"equal|agree|within|reproduced|same|match|exact"),
)


@dataclass(frozen=True)
class Cell:
    """One table cell: its text, how it is set, and a sign before a verdict."""

    text: str
    kind: str = "text"
    sign: str = ""


@dataclass(frozen=True)
class Table:
    """A table ready for the page."""

    title: str
    head: list[str]
    rows: list[list[Cell]]

    @property
    def kinds(self) -> list[str]:
        """How each column is set: a column with a number in it is set as numbers."""
        columns = zip(*self.rows) if self.rows else [[]] * len(self.head)
        return ["number" if any(c.kind == "number" for c in column) else "" for column in columns]

    def command(self, run: str, preset: str) -> str:
        """What measures the rows that are missing, or nothing.

        Args:
            run: the command but for its preset.
            preset: the run's; a table whose title says "preset paper" needs that one.
        """
        if not any(MISSING in cell.text for row in self.rows for cell in row):
            return ""
        named = re.search(rf"preset ({'|'.join(PRESETS)})\b", self.title)
        return f"{run} --preset {named.group(1) if named else preset}"


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
    out, root = Path(out), root or notebook.project_root()
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
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"report: {path} is not JSON: {error}") from None


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
    section.figures = _figures(book.name, section.stated("CAPTIONS", {}), out, root)
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


def table(title: str, frame: pd.DataFrame) -> Table:
    """A formatted DataFrame as cells; an empty one is a dash, an empty verdict "not measured"."""
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    head = [" · ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    rows = [
        [_cell(name, value) for name, value in zip(head, row)]
        for row in frame.itertuples(index=False, name=None)
    ]
    return Table(title, head, rows)


def _cell(column: str, value: Any) -> Cell:
    verdict = "verdict" in column.lower()
    text = str(value) if not pd.isna(value) else MISSING if verdict else "–"
    if verdict:
        return _verdict(text)
    if MISSING in text:
        return Cell(text, "none")
    return Cell(text, "number" if re.match(r"[-+−≈<>±]?\s*\.?\d", text) else "text")


def _verdict(text: str) -> Cell:
    for kind, sign, words in VERDICTS:
        if re.search(words, text, re.IGNORECASE):
            return Cell(text, f"chip {kind}", sign)
    return Cell(text, "chip other" if text.strip() else "text")


def _figures(name: str, captions: Mapping[str, str], out: Path, root: Path) -> list[dict]:
    files: dict[str, Path] = {}
    for folder in (root / "figures", out / "figures"):  # this run's replace the committed ones
        for kind in ("png", "svg"):
            files |= {path.stem: path for path in sorted(folder.glob(f"{name}--*.{kind}"))}
    figures, order = [], list(captions)
    views = {stem: stem.partition("--")[2] for stem in files}
    ranks = {s: order.index(v) if v in order else len(order) for s, v in views.items()}
    for stem, path in sorted(files.items(), key=lambda item: (ranks[item[0]], item[0])):
        view = stem.partition("--")[2]
        caption = captions.get(view) or captions.get(stem) or view.replace("-", " ").capitalize()
        origin = "this run" if out in path.parents else "committed"
        picture = inline(path)
        entry = {"picture": picture, "wide": _is_wide(picture), "origin": origin}
        figures.append({**entry, "caption": caption})
    return figures


def _is_wide(picture: str) -> bool:
    """Whether a figure needs the page's whole width: panels side by side would be too small."""
    box = re.search(r'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', picture[:2000])
    return bool(box) and float(box.group(1)) > 1.7 * float(box.group(2))


def inline(path: Path) -> Markup:
    """A figure file as markup that loads nothing: SVG inside the page, PNG as data.

    Ids inside an SVG get the file's name in front: two figures both have a `clip0`.
    """
    if path.suffix == ".png":
        code = base64.b64encode(path.read_bytes()).decode()
        return Markup('<img alt="" src="data:image/png;base64,{}">').format(code)
    text = path.read_text(encoding="utf-8")
    text = text[max(text.find("<svg"), 0) :]
    text = re.sub(r"<(?:metadata|script)\b[^>]*/>", "", text)
    text = re.sub(r"<(metadata|script)\b.*?</\1\s*>", "", text, flags=re.DOTALL)
    text = re.sub(r"""\sxmlns(:\w+)?=("[^"]*"|'[^']*')""", "", text)
    prefix = re.sub(r"\W", "_", path.stem) + "__"
    text = re.sub(r"""\bxlink:href=""", "href=", text)
    text = re.sub(r"""(\bid=["'])""", rf"\g<1>{prefix}", text)
    text = re.sub(r"""(\bhref=["']#)""", rf"\g<1>{prefix}", text)
    text = re.sub(r"""(url\(["']?#)""", rf"\g<1>{prefix}", text)
    return Markup(text)

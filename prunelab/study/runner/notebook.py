"""The numbered series of notebooks: names, titles, stated costs, and parameters that `-p` sets."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from prunelab import paths
from prunelab.checks import is_count, shown

PLAIN = "a number, text, True, False, None, or a list or dict of these"  # what `-p` may set
DROPPED_TAGS = {"injected-parameters", "papermill-error-cell-tag"}  # of cells that papermill adds


@dataclass(frozen=True)
class Notebook:
    """One file of the series, `NN-some-name.ipynb`."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.name[:2]

    @property
    def stem(self) -> str:
        """`filter_norm`: the paper's name in the code."""
        return self.name[3:].replace("-", "_")

    @cached_property
    def content(self) -> dict[str, Any]:
        """The parsed file.

        Raises:
            ValueError: not a notebook.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {**content, "cells": list(content["cells"])}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"series: {self.path.name} is not a notebook: {error!r}") from None

    @property
    def title(self) -> str:
        for cell in self.content["cells"]:
            heading = re.search(r"^#+\s+(.+)$", text_of(cell["source"]), re.MULTILINE)
            if cell["cell_type"] == "markdown" and heading:
                return heading.group(1).strip()
        return self.name

    @property
    def costs(self) -> dict[str, str]:
        """Preset -> stated cost of a run, from `prunelab.cost` in the notebook's metadata."""
        return self._said("cost")

    @property
    def captions(self) -> dict[str, str]:
        """Figure -> what it shows, from `prunelab.captions`; a paper's are in its `study.toml`."""
        return self._said("captions")

    def _said(self, what: str) -> dict[str, str]:
        return dict(self.content.get("metadata", {}).get("prunelab", {}).get(what, {}))

    def parameters(self) -> dict[str, Any]:
        """Names and defaults of the cell tagged `parameters`, as papermill sees them."""
        import papermill

        try:
            found = papermill.inspect_notebook(str(self.path))
        except Exception as error:  # papermill gives whatever its readers raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(
                f"series: {self.path.name}: papermill cannot read it: {reason}"
            ) from None
        return {name: literal(entry["default"]) for name, entry in found.items()}

    def identity(self) -> list[tuple]:
        """Types, sources and tags of its cells, without outputs."""
        cells = self.content["cells"]
        return [(c["cell_type"], text_of(c["source"]), tags_of(c)) for c in cells]


def notebooks(root: Path | None = None) -> list[Notebook]:
    """The series in order."""
    found = sorted((root or paths.project()).glob("notebooks/[0-9][0-9]-*.ipynb"))
    return [Notebook(path) for path in found]


def select(numbers: Iterable[str], series: list[Notebook]) -> tuple[Notebook, ...]:
    """The notebooks named by `numbers`, in the order of the series; all if there are none.

    Args:
        numbers: `1`, `01`, `01-filter-norm`, `filter-norm` or `filter_norm`.
        series: what there is.

    Raises:
        ValueError: one names nothing, or there is nothing.
    """
    if not series:
        raise ValueError("run: there is no notebook NN-*.ipynb in notebooks/")
    names = {}
    for book in series:
        for alias in (book.number, str(int(book.number)), book.name, book.name[3:], book.stem):
            names[alias] = book
    wanted = [str(number).removesuffix(".ipynb") for number in numbers]
    for number in wanted:
        if number not in names:
            there = ", ".join(book.name for book in series)
            raise ValueError(f"run: no notebook {number!r}; there are: {there}")
    chosen = {names[number] for number in wanted} or set(series)
    return tuple(book for book in series if book in chosen)


def tags_of(cell: Mapping) -> list[str]:
    """The tags of a cell."""
    return cell["metadata"].get("tags", [])


def text_of(source: str | list[str]) -> str:
    """Source of a cell or text of a stream: in a file, one string or a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def literal(text: str) -> Any:
    """The value of a Python literal; any other text is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last two: deep nesting
        return text


def asked(texts: Sequence[str]) -> dict[str, Any]:
    """Names and values of NAME=VALUE texts. A value that is no Python literal is a string.

    Raises:
        ValueError: no such form, or a name twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"run: `-p` must be NAME=VALUE; got {shown(text)}")
        if name in found:
            raise ValueError(f"run: `-p` must name each parameter once; got {name} again")
        found[name] = literal(value)
    return found


def checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a notebook can hold them: tuples become lists, SEEDS a list of seeds.

    Raises:
        ValueError: a value of another kind, no seeds, or a parameter that an option sets.
    """
    for name, option in (("PRESET", "--preset"), ("REFRESH", "--refresh")):
        if name in parameters:
            raise ValueError(f"run: {name} is set by `{option}`, not by `-p`")
    found = {}
    for name, value in parameters.items():
        try:
            found[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            raise ValueError(f"run: `-p {name}=` must be {PLAIN}; got {shown(value)}") from None
    if "SEEDS" in found:
        found["SEEDS"] = _seeds(found["SEEDS"])
    return found


def _seeds(value: Any) -> list[int]:
    seeds = value if isinstance(value, list) else [value]
    if not seeds or not all(is_count(seed, 0) for seed in seeds):
        raise ValueError(
            f"run: SEEDS must be one or more integers >= 0, as in SEEDS=0,1; got {shown(value)}"
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"run: SEEDS must not repeat; got {shown(value)}")
    return seeds

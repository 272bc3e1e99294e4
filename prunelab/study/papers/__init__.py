"""The papers: one module or package each, named by its stem, with a `STUDY`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line reads the names without waiting for torch
    from prunelab.study.study import Study


def stems() -> list[str]:
    """The names of all papers in the code."""
    return [found.name for found in pkgutil.iter_modules(__path__)]


def study(stem: str) -> Study:
    """The study of a paper. Errors: ModuleNotFoundError, there is no such paper."""
    return importlib.import_module(f"{__name__}.{stem}").STUDY


def studies() -> dict[str, Study]:
    """Stem -> study."""
    return {stem: study(stem) for stem in stems()}

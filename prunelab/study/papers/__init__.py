"""The papers: one module or package each, named by its stem, with a `STUDY`."""

from __future__ import annotations

import importlib
import pkgutil

from prunelab.study.study import Study


def study(stem: str) -> Study:
    """The study of a paper. Errors: ModuleNotFoundError, there is no such paper."""
    return importlib.import_module(f"{__name__}.{stem}").STUDY


def studies() -> dict[str, Study]:
    """Stem -> study."""
    return {found.name: study(found.name) for found in pkgutil.iter_modules(__path__)}

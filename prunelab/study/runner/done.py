"""Done: what became of recipes, and the table of what ran where and how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prunelab.study import rows
from prunelab.study.recipes import Recipe
from prunelab.study.runner.estimates import span


@dataclass(frozen=True)
class Done:
    """What became of a recipe: who measured it and how long that took, or the error.

    Attributes:
        recipe: what was to be measured.
        worker: who measured it; "" if nobody did.
        seconds: that it took, with those of `trainer`.
        error: one line, or None.
        trainer: who trained its network before, if somebody did only for this recipe.
        training: seconds that this took.
    """

    recipe: Recipe
    worker: str = ""
    seconds: float = 0.0
    error: str | None = None
    trainer: str = ""
    training: float = 0.0


def told(found: Iterable[Done]) -> str:
    """What ran where and how long: a line a worker, as a table; "" if nothing ran."""
    lines = []
    for done in found:
        own = done.seconds - done.training
        lines.append((done.worker or "nowhere", 1, bool(done.error), own, done.recipe.stem))
        if done.trainer:
            lines.append((done.trainer, 0, False, done.training, done.recipe.stem))
    if not lines:
        return ""
    frame = pd.DataFrame(lines, columns=["worker", "recipes", "failed", "busy", "of"])
    by = frame.groupby("worker").agg(dict.fromkeys(frame.columns[1:4], "sum") | {"of": _names})
    return by.assign(busy=by.busy.map(span)).reset_index().to_string(index=False)


def _names(stems: pd.Series) -> str:
    return ", ".join(sorted({*stems}))


def among(folder: Path, wanted: Mapping[str, Recipe], since: str) -> list[Done]:
    """What notebooks measured of the recipes that had no row.

    Args:
        folder: the ledger of the run.
        wanted: key -> recipe, see `fanout.wanted`.
        since: rows up to then are older, ISO 8601; "" = there were none.
    """
    stems = sorted({recipe.stem for recipe in wanted.values()})
    found = {row["key"]: row for s in stems for row in rows.read(folder / f"{s}.jsonl", wanted)}
    return [
        Done(wanted[key], f"notebooks, {row['device']}", row["seconds"])
        for key, row in found.items()
        if row["date"] > since
    ]

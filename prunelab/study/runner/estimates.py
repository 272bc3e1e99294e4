"""How long recipes will take, from the seconds of ledger rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from prunelab import checks
from prunelab.study import ledger, rows
from prunelab.study.recipes import Recipe, plain


class Estimates:
    """Seconds that recipes took on a kind of device, here and in the committed ledger.

    A recipe takes what its own row says; without one, the median of the rows with the same task,
    network and preset, whatever their strength or seed. Another machine may be slower.

    Args:
        folder: the ledger of the run.
        device: cpu or cuda; rows of the other say nothing.
    """

    def __init__(self, folder: Path, device: str):
        self._folder, self.device = folder, device
        self._known: dict[str, tuple[dict[str, float], dict[str, list[float]]]] = {}

    def seconds(self, recipe: Recipe) -> float | None:
        """Of one recipe; None where no row is like it."""
        if recipe.stem not in self._known:
            self._known[recipe.stem] = self._read(recipe.stem)
        exact, alike = self._known[recipe.stem]
        near = alike.get(_sort(plain(recipe)))
        return exact.get(recipe.key, median(near) if near else None)

    def _read(self, stem: str) -> tuple[dict[str, float], dict[str, list[float]]]:
        exact, alike = {}, defaultdict(list)
        for folder in (ledger.COMMITTED, self._folder):
            for row in rows.read(folder / f"{stem}.jsonl"):
                if row["device"] == self.device and checks.is_number(row.get("seconds")):
                    exact[row["key"]] = taken = _taken(row)
                    alike[_sort(row["recipe"])].append(taken)
        return exact, alike


def _taken(row: Mapping[str, Any]) -> float:
    """Seconds of a row with its training, which may have been over before it was measured."""
    training = row["values"].get("training_seconds", 0.0)
    return row["seconds"] + (training if training > row["seconds"] else 0.0)


def _sort(recipe: Mapping[str, Any]) -> str:
    """What recipes that take alike long have in common."""
    task = recipe["task"]
    inner = task.get("task") or task  # one task may weigh what another one makes
    method = (inner.get("method") or {}).get("kind")
    where = (recipe["preset"], recipe["model"], recipe["data"], recipe["label"].split(",")[0])
    return repr((task["kind"], inner["kind"], method, *where))


def said(seconds: Iterable[float | None], workers: int) -> str:
    """How long all of it takes, as "on 2 workers: at least 12 min; 3 of 40 unknown"."""
    found = [*seconds]
    known = [one for one in found if one is not None]
    if not workers:
        return "when a worker is there"
    words = f"on {workers} worker{'s' * (workers > 1)}"
    if not known:
        return words + (": no row says how long" if found else "")
    unknown, time = len(found) - len(known), span(max(sum(known) / workers, *known))
    if unknown:  # often the long ones
        return f"{words}: at least {time}; {unknown} of {len(found)} unknown"
    return f"{words}: about {time}"


def span(seconds: float) -> str:
    """Seconds in words: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

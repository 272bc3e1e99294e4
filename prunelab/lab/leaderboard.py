"""The class leaderboard: plans within half of the MACs, really shrunk, fine-tuned and tested.

A file is a JSON object with a name and a plan, as the explorer writes it:

    {"name": "Ada", "plan": "conv1=0.5 conv2=0.4 fc1=0.8 +2"}

What it claims beside is not believed, nor looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from prunelab import checks, sensitivity, train
from prunelab.lab import bench

EPOCHS = 2  # of fine-tuning, at most
LONGEST = 40  # letters of a name
SOLVER = "the solver"
COLUMNS = ["rank", "name", "test accuracy %", "against the solver, points (95%)", "MACs left %"]
COLUMNS += ["parameters left %", "plan", "remark"]


@dataclass(frozen=True)
class Entry:
    """One entry, measured; or refused, with the reason."""

    name: str
    plan: str
    correct: Tensor | None = None
    macs: float = 0.0
    params: float = 0.0
    remark: str = ""


def ranked(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Measure plans and rank them by test accuracy; of equal ones the smaller first.

    Args:
        entries: with name and plan each; anything else in them is not looked at.

    Returns:
        One row per entry and one for the solver's own plan: rank (equal for equal accuracy and
        MACs), name, test accuracy, its difference from the solver's with a 95% interval, paired on
        the same images, shares left, plan, and a remark. What is refused comes last, without rank.
    """
    given = checks.listed("leaderboard", "entries", entries, Mapping, "mappings with name and plan")
    return _table([_solver(), *map(_judged, given)])


def read(folder: str | Path) -> pd.DataFrame:
    """The same for the JSON files of a folder.

    Raises:
        ValueError: there is no JSON file in it.
        OSError: it cannot be read.
    """
    place = checks.path("leaderboard", "folder", folder)
    files = sorted(place.glob("*.json"))
    if not files:
        raise ValueError(f"leaderboard: `folder` must hold entries as .json; `{place}` has none")
    return _table([_solver(), *map(_from_file, files)])


def told(table: pd.DataFrame) -> str:
    """The table in plain text, a plan or a remark on a line of its own."""
    lines = []
    for row in table.to_dict("records"):
        rank, name, accuracy = row["rank"], row["name"], row[COLUMNS[2]]
        lines.append(f"{rank:>3}  {name:<{LONGEST}}  {accuracy:>5}  {row[COLUMNS[3]]:<22}")
        lines[-1] += f"  {row[COLUMNS[4]]:>5}  {row[COLUMNS[5]]:>5}"
        lines += [f"     {text}" for text in (row["plan"], row["remark"]) if text]
    head = f"     {'name':<{LONGEST}}  test %  against the solver      MACs %  parameters %"
    return "\n".join([head, *lines])


def solved() -> str:
    """The solver's plan for the budget, with as much fine-tuning as is allowed."""
    ratios = sensitivity.solve(bench.curves(), macs=bench.BUDGET)
    return " ".join([*(f"{name}={ratio}" for name, ratio in ratios.items() if ratio), f"+{EPOCHS}"])


@cache
def _solver() -> Entry:
    return _measured(SOLVER, solved())


def _from_file(path: Path) -> Entry:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return Entry(path.stem, "", remark="refused: it is no JSON")
    if not isinstance(found, Mapping):
        return Entry(path.stem, "", remark="refused: it is no JSON object with name and plan")
    return _judged({"name": path.stem} | dict(found))


def _judged(entry: Mapping[str, Any]) -> Entry:
    name, plan = entry.get("name", "?"), entry.get("plan")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST:
        return Entry("?", "", remark=f"refused: `name` must be a text of 1 to {LONGEST} letters")
    name = " ".join(name.split())
    if not isinstance(plan, str):
        return Entry(name, "", remark="refused: `plan` must be a text, as `conv1=0.5 fc1=0.8 +1`")
    try:
        return _measured(name, plan, sorted({*entry} - {"name", "plan"}))
    except ValueError as error:
        return Entry(name, plan, remark=f"refused: {str(error).removeprefix('pruned: ')}")


def _measured(name: str, plan: str, claims: Iterable[str] = ()) -> Entry:
    """Shrink, fine-tune, test. ValueError: the plan is none, or not within the rules."""
    found = bench.plan_of(plan)
    if (found.epochs or 0) > EPOCHS:
        raise ValueError(f"at most {EPOCHS} epochs of fine-tuning; got +{found.epochs}")
    untuned = bench.pruned(plan.partition("+")[0])
    left = bench.size(untuned)
    if left["macs"] > bench.BUDGET:
        raise ValueError(
            f"at most {bench.BUDGET:.0%} of the MACs; this plan leaves {left['macs']:.1%}"
        )
    net = bench.pruned(plan) if found.epochs else untuned
    correct = train.evaluate(net, bench.digits().test).correct
    remark = f"not looked at: {', '.join(claims)}" if claims else ""
    return Entry(name, plan, correct, left["macs"], left["params"], remark)


def _table(entries: list[Entry]) -> pd.DataFrame:
    solver = entries[0]
    good = [entry for entry in entries if entry.correct is not None]
    good.sort(key=lambda entry: (-int(entry.correct.sum()), entry.macs))
    place = {(int(e.correct.sum()), e.macs): n for n, e in reversed([*enumerate(good, 1)])}
    rows = [
        (
            str(place[int(e.correct.sum()), e.macs]),
            e.name,
            f"{100 * e.correct.double().mean():.1f}",
            _against(solver.correct, e.correct) if e is not solver else "–",
            f"{100 * e.macs:.1f}",
            f"{100 * e.params:.1f}",
            e.plan,
            e.remark,
        )
        for e in good
    ]
    refused = [entry for entry in entries if entry.correct is None]
    rows += [("–", e.name, "–", "–", "–", "–", e.plan, e.remark) for e in refused]
    return pd.DataFrame(rows, columns=COLUMNS)


def _against(solver: Tensor, own: Tensor) -> str:
    low, high = sensitivity.paired_interval(solver, own)
    change = (own.double().mean() - solver.double().mean()).item()
    return f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−")

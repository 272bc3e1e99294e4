"""The class leaderboard: plans within half of the MACs, really shrunk, fine-tuned and measured.

Plans that are not proved less accurate than the most accurate one count as equally accurate; of
these the one with the fewest MACs is first.

A file is a JSON object with a name and a plan, as the explorer writes it:

    {"name": "Ada", "plan": "conv1=0.5 conv2=0.4 fc1=0.8 +2"}

What it claims beside is not believed, nor looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from prunelab import checks, sensitivity, train
from prunelab.lab import bench

EPOCHS = 2  # of fine-tuning, at most
LONGEST = 40  # letters of a name
LARGEST = 100_000  # bytes of a file
SOLVER = "the solver"
COLUMNS = ["rank", "name", "accuracy %", "against the best, points (95%)", "MACs left %"]
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


def ranked(entries: Iterable[Mapping[str, Any]], split: str = "val") -> pd.DataFrame:
    """Measure plans and rank them.

    Args:
        entries: with name and plan each; anything else in them is not looked at.
        split: "val", for students who try plans; or "test", for the one who judges them.

    Returns:
        One row per entry and one for the solver's own plan: rank, name, accuracy, its difference
        from the most accurate one with a 95% interval, paired on the same images, shares left,
        plan, and a remark. What is refused comes last, without a rank.

    Raises:
        TypeError, ValueError: `entries` are no mappings; or `split` is neither.
    """
    checks.word("leaderboard", "split", split, ("val", "test"))
    given = checks.listed("leaderboard", "entries", entries, Mapping, "mappings with name and plan")
    return _table([_solver(split), *(_judged(entry, split) for entry in given)])


def read(folder: str | Path) -> pd.DataFrame:
    """The same for the JSON files of a folder, on the test images.

    Raises:
        ValueError: there is no JSON file in it.
        OSError: it is no folder, or cannot be read.
    """
    place = checks.path("leaderboard", "folder", folder)
    if not place.is_dir():
        raise NotADirectoryError(f"leaderboard: `folder` must be a folder; got `{place}`")
    files = sorted(place.glob("*.json"))
    if not files:
        raise ValueError(f"leaderboard: `folder` must hold entries as .json; `{place}` has none")
    return _table([_solver("test"), *map(_from_file, files)])


def told(table: pd.DataFrame) -> str:
    """The table in plain text, a plan or a remark on a line of its own."""
    lines = []
    for row in table.to_dict("records"):
        rank, name, accuracy = row["rank"], row["name"], row[COLUMNS[2]]
        lines.append(f"{rank:>3}  {name:<{LONGEST}}  {accuracy:>5}  {row[COLUMNS[3]]:<22}")
        lines[-1] += f"  {row[COLUMNS[4]]:>5}  {row[COLUMNS[5]]:>5}"
        lines += [f"     {text}" for text in (row["plan"], row["remark"]) if text]
    head = f"     {'name':<{LONGEST}}  test %  against the best        MACs %  parameters %"
    return "\n".join([head, *lines])


def solved() -> str:
    """The solver's plan for the budget, with as much fine-tuning as is allowed."""
    ratios = sensitivity.solve(bench.curves(), macs=bench.BUDGET)
    return " ".join([*(f"{name}={ratio}" for name, ratio in ratios.items() if ratio), f"+{EPOCHS}"])


@cache
def _solver(split: str) -> Entry:
    return _measured(SOLVER, solved(), split)


def _from_file(path: Path) -> Entry:
    try:
        if path.stat().st_size > LARGEST:
            return Entry(_plain(path.stem), "", remark=f"refused: it has over {LARGEST:,} bytes")
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return Entry(_plain(path.stem), "", remark="refused: it is no JSON")
    except OSError as error:
        return Entry(_plain(path.stem), "", remark=f"refused: it cannot be read ({error.strerror})")
    if not isinstance(found, Mapping):
        remark = "refused: it is no JSON object with name and plan"
        return Entry(_plain(path.stem), "", remark=remark)
    return _judged({"name": path.stem} | dict(found), "test")


def _judged(entry: Mapping[str, Any], split: str) -> Entry:
    name, plan = entry.get("name", "?"), entry.get("plan")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST:
        return Entry("?", "", remark=f"refused: `name` must be a text of 1 to {LONGEST} letters")
    name = _plain(name)
    if name.casefold() == SOLVER:
        return Entry("?", "", remark=f"refused: `name` must not be {SOLVER!r}")
    if not isinstance(plan, str):
        return Entry(name, "", remark="refused: `plan` must be a text, as `conv1=0.5 fc1=0.8 +1`")
    try:
        claims = sorted(_plain(key) for key in {*entry} - {"name", "plan"})[:5]
        return replace(_measured(name, plan, split, claims), plan=_plain(plan))
    except ValueError as error:
        return Entry(name, _plain(plan), remark=f"refused: {str(error).removeprefix('pruned: ')}")


def _plain(text: object) -> str:
    """On one line, short, and without what a terminal would obey."""
    line = " ".join(str(text).split())[:200]
    return "".join(c if c.isprintable() else "?" for c in line)


def _measured(name: str, plan: str, split: str, claims: Iterable[str] = ()) -> Entry:
    """Shrink, fine-tune, evaluate. ValueError: the plan is none, or not within the rules."""
    found = bench.plan_of(plan)
    if found.epochs > EPOCHS:
        raise ValueError(f"at most {EPOCHS} epochs of fine-tuning; got +{found.epochs}")
    left = bench.size(bench.shrunk(found))
    if left["macs"] > bench.BUDGET:
        raise ValueError(
            f"at most {bench.BUDGET:.0%} of the MACs; this plan leaves {left['macs']:.1%}"
        )
    net = bench.pruned(plan)
    correct = train.evaluate(net, getattr(bench.digits(), split)).correct
    remark = f"not looked at: {', '.join(claims)}" if claims else ""
    return Entry(name, plan, correct, left["macs"], left["params"], remark)


def _table(entries: list[Entry]) -> pd.DataFrame:
    good = [entry for entry in entries if entry.correct is not None]
    best = max(good, key=lambda entry: (int(entry.correct.sum()), -entry.macs))
    good.sort(key=lambda entry: _place(entry, best))
    places = [_place(entry, best) for entry in good]
    rows = [
        (
            str(1 + places.index(place)),
            e.name,
            f"{100 * e.correct.double().mean():.1f}",
            "the best" if e is best else _against(best.correct, e.correct),
            f"{100 * e.macs:.1f}",
            f"{100 * e.params:.1f}",
            e.plan,
            e.remark,
        )
        for e, place in zip(good, places)
    ]
    refused = [entry for entry in entries if entry.correct is None]
    rows += [("–", e.name, "–", "–", "–", "–", e.plan, e.remark) for e in refused]
    return pd.DataFrame(rows, columns=COLUMNS)


def _place(entry: Entry, best: Entry) -> tuple[bool, int, float]:
    """Sorts entries: those that may be as accurate as the best by MACs, others by accuracy."""
    _, high = sensitivity.paired_interval(best.correct, entry.correct)
    worse = high < 0
    return worse, -int(entry.correct.sum()) if worse else 0, entry.macs


def _against(best: Tensor, own: Tensor) -> str:
    if torch.equal(best, own):
        return "the same answers"
    low, high = sensitivity.paired_interval(best, own)
    change = (own.double().mean() - best.double().mean()).item()
    return f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−")

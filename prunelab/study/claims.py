"""Claims: each printed number that is compared, with a permanent id and how it was met.

An id is the paper, its table, the row and the number: `dns/table1/lenet-5/error`. It is made from
the printed table, so it stays when titles, columns or code change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from prunelab import checks
from prunelab.study import ledger
from prunelab.study import measures as m
from prunelab.study.cells import Missing, Verdict
from prunelab.study.columns import Pair
from prunelab.study.recipes import Recipe
from prunelab.study.results import Line
from prunelab.study.study import Study
from prunelab.study.tables import Table

KINDS = {"agrees": "met", "differs": "missed", "missing": "not measured", "other": "not judged"}


@dataclass(frozen=True)
class Claim:
    """A printed number, and what was measured.

    Attributes:
        id: its permanent name.
        study: of its paper.
        table: title of the table that it stands in.
        pair: the number and how it is measured.
        line: the line of that table.
        verdict: how it was met.
    """

    id: str
    study: Study
    table: str
    pair: Pair
    line: Line
    verdict: Verdict

    @property
    def printed(self) -> Any:
        """The cell of the printed number."""
        (_, cell), _ = self.pair.cells(self.line)
        return cell

    @property
    def ours(self) -> Any:
        """The cell of what was measured."""
        _, (_, cell) = self.pair.cells(self.line)
        return cell

    @property
    def mean(self) -> float | None:
        """Mean over our runs; None if nothing is measured."""
        values = [v for run in self.line.runs if (v := self.pair.measure(run)) is not None]
        return sum(values) / len(values) if values else None

    @property
    def interval(self) -> str:
        """The 95% interval of the mean over seeds; empty with fewer than two."""
        values = [v for run in self.line.runs if (v := self.pair.measure(run)) is not None]
        if len(values) < 2 or min(values) == max(values):
            return ""
        middle, half = m.interval(values)
        return f"{self.pair.form} to {self.pair.form}".format(middle - half, middle + half)

    @property
    def status(self) -> str:
        """met, missed, not measured, or not judged."""
        return KINDS[self.verdict.kind]

    def recipes(self, seed: int | None = None) -> list[Recipe]:
        """What measures it: the base that it is compared with first.

        Args:
            seed: of one run; None = those that are there, or 0 if there are none.

        Raises:
            ValueError: nothing is run for it.
        """
        if self.line.case is None:
            raise ValueError(f"claims: nothing measures {self.id} ({self.verdict})")
        cases = [case for case in (self.line.base, self.line.case) if case is not None]
        seeds = sorted({run.seed for run in self.line.runs}) or [0]
        seeds = seeds if seed is None else [seed]
        return [
            case.recipe(self.study.stem, one)
            for case in cases
            for one in (seeds if case.data else [0])
        ]


def of(study: Study, rows: Iterable[dict] | None = None) -> dict[str, Claim]:
    """Id -> claim of a paper, in the order of its tables.

    Args:
        study: of the paper.
        rows: ledger rows; None = all that are here.
    """
    found: dict[str, Claim] = {}
    if not study.said.claims:
        return found
    results = study.results(ledger.rows(study.stem) if rows is None else rows)
    for table in study.compared:
        # A printed number is claimed under the paper's own conditions, where presets differ.
        preset = "paper" if table.presets else table.preset
        title = table.title.format(
            table.presets.get("paper", next(iter(table.presets.values()), ""))
        )
        for line in table.lines(results, preset):
            derived = bool(line.runs) and not line.keys  # from print alone, nothing was measured
            place = "" if derived else getattr(line.printed, "claim", "")
            for pair, rule in _compared(table) if place else ():
                if pair.printed(line) != pair.printed(line):
                    continue  # not printed
                number = pair.field.removeprefix("paper_").removesuffix("_pct").replace("_", "-")
                name = f"{place}/{number}"
                # Further lines of one row are variants: the first is the claim.
                found.setdefault(
                    name, Claim(name, study, title, pair, line, _verdict(pair, rule, line))
                )
    return found


def _compared(table: Table) -> Iterator[tuple[Pair, m.Rule | None]]:
    """Each pair of a table once, with the rule that judges it."""
    rules = [column for column in table.columns if isinstance(column, m.Rule)]
    judged = {pair.field: (pair, rule) for rule in rules for pair in rule.pairs}
    pairs = (*table.columns, *table.claimed)
    shown = {column.field: column for column in pairs if isinstance(column, Pair)}
    for name, pair in shown.items():
        of, rule = judged.get(name, (pair, None))
        # As it is shown; what is measured follows the rule, as the best epoch in place of the last.
        yield replace(pair, measure=of.measure), rule


def _verdict(pair: Pair, rule: m.Rule | None, line: Line) -> Verdict:
    if not line.runs or all(pair.measure(run) is None for run in line.runs):
        command = line.missing.command if isinstance(line.missing, Missing) else ""
        if line.case is None:
            return Verdict("missing", line.note or "not run here")
        return Verdict("missing", "not measured", command)
    if pair.built:
        return Verdict("other", "ours was built to reach it", rows=line.keys)
    kind, text = rule.of(pair, line) if rule else _inside(pair, line)
    return Verdict(kind, text, rows=line.keys)


def _inside(pair: Pair, line: Line) -> tuple[str, str]:
    """Without a rule: met if the mean is no worse, or the printed number is in our interval."""
    values = [v for run in line.runs if (v := pair.measure(run)) is not None]
    mean, half = m.interval(values) if len(values) > 1 else (values[0], 0.0)
    worse = (pair.printed(line) - mean) * (1 if pair.at_least else -1)
    if worse <= 0:
        return "agrees", "no worse than printed"
    return ("agrees", "printed is in our interval") if worse <= half else ("differs", "worse")


def every() -> dict[str, Claim]:
    """Id -> claim of all papers, in the order of their notebooks."""
    found: dict[str, Claim] = {}
    for study in papers():
        found |= of(study)
    return found


def papers() -> list[Study]:
    """The papers with claims, in the order of their notebooks."""
    from prunelab.study.papers import studies

    found = [study for study in studies().values() if study.said.claims]
    return sorted(found, key=lambda study: study.said.notebook)


def claim(name: str) -> Claim:
    """The claim of an id.

    Raises:
        TypeError: `name` is no string.
        ValueError: no claim has this id; names those that begin alike.
    """
    checks.kind("claims", "id", name, str, "a string")
    paper = name.partition("/")[0]
    known: dict[str, Claim] = {}
    for study in papers():
        if study.said.claims["paper"] == paper:
            known = of(study)
    known = known or every()
    if name not in known:
        parts = name.split("/")
        for depth in range(len(parts), -1, -1):
            begin = "/".join(parts[:depth])
            near = [one for one in known if one.startswith(begin)]
            if near:
                break
        shown = ", ".join(near[:6]) + (", ..." if len(near) > 6 else "")
        raise ValueError(f"claims: no claim {name!r}; there are {shown}")
    return known[name]


def counted(claims: Iterable[Claim]) -> dict[str, int]:
    """Status -> how many claims have it; all four are there."""
    found = Counter(claim.status for claim in claims)
    return {status: found[status] for status in KINDS.values()}


def lines(found: Iterable[Claim]) -> pd.DataFrame:
    """A line each: id, printed, ours, 95% interval, status, and the verdict in words."""
    return pd.DataFrame(
        [
            {
                "claim": one.id,
                "printed": one.printed,
                "ours": one.ours,
                "95% interval": one.interval,
                "status": one.status,
                "verdict": one.verdict,
            }
            for one in found
        ]
    )

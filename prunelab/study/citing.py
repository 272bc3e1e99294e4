"""What the terminal says of claims: a summary, one line each, where one comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pandas as pd

from prunelab import checks
from prunelab.study import claims, ledger
from prunelab.study.claims import Claim
from prunelab.study.papers import studies
from prunelab.study.results import Run
from prunelab.study.study import Study


def summary(found: Iterable[Claim]) -> pd.DataFrame:
    """Per paper, how many printed numbers were met, missed, not measured, not judged."""
    papers: dict[str, list[Claim]] = {}
    for claim in found:
        papers.setdefault(claim.id.partition("/")[0], []).append(claim)
    return pd.DataFrame([{"paper": name} | claims.counted(own) for name, own in papers.items()])


def listed(papers: Sequence[str]) -> str:
    """The lines of some papers; without any, the summary.

    Raises:
        ValueError: a paper without claims.
    """
    known = _papers()
    for paper in papers:
        checks.word("claims", "paper", paper, tuple(known))
    if papers:
        found = [one for paper in papers for one in claims.of(known[paper]).values()]
        return claims.lines(found).to_string(index=False)
    table = summary(claims.every().values()).to_string(index=False)
    return f"{table}\n`prunelab claims {next(iter(known))}` lists those of one paper"


def _papers() -> dict[str, Study]:
    """First part of ids -> study."""
    return {study.said.claims["paper"]: study for study in claims.papers()}


def measured(name: str, seed: int | None, refresh: bool) -> str:
    """Measure what a claim needs, and say how it stands now.

    Args:
        name: its id.
        seed: of one run; None = those that are there.
        refresh: measure again what is there.

    Raises:
        ValueError: no such claim, nothing measures it, or no seed.
    """
    if seed is not None:
        checks.count("run", "seed", seed, 0)
    recipes = claims.claim(name).recipes(seed)
    ledger.run(recipes, True if refresh else "missing")
    return _told(claims.claim(name))


def _told(claim: Claim) -> str:
    interval = f", 95% interval {claim.interval}" if claim.interval else ""
    return (
        f"{claim.id}: printed {claim.printed}, ours {claim.ours}{interval}: {claim.status}"
        f" ({claim.verdict})"
    )


def cited(name: str) -> str:
    """Where a claim comes from, with the paper's BibTeX; of a paper, the BibTeX and its pages.

    Raises:
        ValueError: neither a paper nor a claim.
    """
    papers = _papers() | studies()
    if name in papers:
        return _source(papers[name])
    claim = claims.claim(name)
    known = {row["key"]: row for row in ledger.rows(claim.study.stem)}
    rows = [known[key] for run in claim.line.runs for key in _keys(run) if key in known]
    shown = [
        f"row {row['key']}, seed {row['seed']}, commit {row['commit']}, data"
        f" {row['data_checksum'] or 'none'}, {row['date'][:10]}\n  {json.dumps(row['recipe'])}"
        for row in rows
    ]
    return "\n".join([_told(claim), f"table: {claim.table}", *shown, "", _source(claim.study)])


def _keys(run: Run) -> list[str]:
    """Of a run and of the one that it is compared with."""
    return [run.key, *([run.base.key] if run.base else [])]


def _source(study: Study) -> str:
    pages = [f"{what}: {where}" for what, where in study.said.links.items()]
    return "\n".join([*pages, study.said.bibtex.strip() or study.said.citation])

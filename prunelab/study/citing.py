"""What the terminal says of claims: a summary, one line each, where one comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import pandas as pd

from prunelab import checks
from prunelab.study import claims, ledger
from prunelab.study.claims import Claim
from prunelab.study.papers import studies
from prunelab.study.printed import Said
from prunelab.study.recipes import Recipe
from prunelab.study.results import Run
from prunelab.study.runner.estimates import Estimates, span
from prunelab.study.study import Study
from prunelab.train import Budget


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


def measured(name: str, seed: int | None, refresh: bool) -> Iterator[str]:
    """Say what it costs to measure what a claim needs, measure it, and say how it stands now.

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
    known = {row["key"] for recipe in recipes[:1] for row in ledger.rows(recipe.stem)}
    missing = [recipe for recipe in recipes if refresh or recipe.key not in known]
    if missing:
        again = "starts anew" if refresh else "goes on where this one stopped"
        yield f"{name}: {cost(missing)}. Stop it with Ctrl-C; the same command then {again}."
    ledger.run(recipes, True if refresh else "missing")
    yield _told(claims.claim(name))


def cost(recipes: Sequence[Recipe]) -> str:
    """What measuring takes, by rows of the same kind; without any, by the epochs of training."""
    known = Estimates(ledger.folder(), ledger.device())
    seconds = {recipe.key: known.seconds(recipe) for recipe in recipes}
    unknown = [recipe for recipe in recipes if seconds[recipe.key] is None]
    said = [f"{len(recipes)} measurement{'s' * (len(recipes) > 1)}"]
    if found := [one for one in seconds.values() if one is not None]:
        said.append(f"about {span(sum(found))}, as rows of the ledger took")
    if unknown:
        trained = {recipe.trained_key: recipe.budget for recipe in unknown}  # once for all tasks
        own = [recipe.task for recipe in unknown]
        epochs = sum(budget.epochs for budget in _budgets([*trained.values(), *own]))
        which = f" of {len(unknown)} of them" * (len(unknown) < len(recipes))
        data = ", ".join(sorted({recipe.data for recipe in unknown if recipe.data}))
        length = f"at least {epochs:g} epochs of training on {data}"
        said.append(f"the time{which} is unknown: {length if epochs else 'nothing is trained'}")
    return ", ".join(said)


def _budgets(value: Any) -> Iterator[Budget]:
    """The trainings that a value names."""
    if isinstance(value, Budget):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _budgets(one)
    elif is_dataclass(value):
        yield from _budgets([getattr(value, one.name) for one in fields(value)])


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
    return f"{Sources(study.said)}\n{study.said.bibtex.strip() or study.said.citation}"


@dataclass(frozen=True)
class Sources:
    """Where to read about a paper, as a notebook shows it: its page, its code, what to read next.

    Attributes:
        said: its `study.toml`.
    """

    said: Said

    def __str__(self) -> str:
        own = [f"{what}: {at}" for what, at in self.said.links.items()]
        more = [f"further: {what}: {at}" for what, at in self.said.further.items()]
        return "\n".join(own + more)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        own = " · ".join(f"{what}: <{at}>" for what, at in self.said.links.items())
        more = [f"* [{what}]({at})" for what, at in self.said.further.items()]
        return "\n\n".join(filter(None, [own, "\n".join(["Further reading:", "", *more])]))


def sources(paper: str) -> Sources:
    """The pages about a paper; the last line of a cell shows them as links.

    Args:
        paper: as in ids of claims ("pfec"), or its stem ("filter_norm").

    Raises:
        ValueError: no such paper.
    """
    known = _papers() | studies()
    checks.word("sources", "paper", paper, tuple(known))
    return Sources(known[paper].said)

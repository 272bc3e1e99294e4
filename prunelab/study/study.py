"""A paper as a declaration: the cases to run, and the tables that compare them with the paper.

Title, citation, deviations and captions are in `study.toml`, beside the CSVs of printed numbers.
A study goes through its cases and looks up their ledger rows; rows of no case are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prunelab.study import printed
from prunelab.study.networks import Network
from prunelab.study.recipes import PRESETS, Recipe, check_preset
from prunelab.study.results import Results

if TYPE_CHECKING:
    import pandas as pd

    from prunelab.study.tables import Table


@dataclass(frozen=True)
class Case:
    """Something to run: a task on a network.

    Attributes:
        part: the part of the study it belongs to; a notebook runs its recipes part by part.
        name: its name in tables and figures: a method, or a network and a rule.
        network: the network before pruning.
        task: what to measure, from `prunelab.study.tasks`.
        setting: tells apart several cases of one name.
        printed: the printed row it reproduces, as the values of the columns that a table matches.
        seeds: the largest number of seeds to measure; None = all that are requested.
        preset: the preset its rows belong to; None = the requested one.
    """

    part: str
    name: str
    network: Network
    task: Any
    setting: str = ""
    printed: tuple[str, ...] = ()
    seeds: int | None = None
    preset: str | None = None

    @property
    def label(self) -> str:
        return f"{self.name}, {self.setting}" if self.setting else self.name

    @property
    def model(self) -> str:
        return self.network.model

    @property
    def data(self) -> str | None:
        return self.network.data

    def recipe(self, stem: str, seed: int) -> Recipe:
        """The recipe of one seed."""
        network = self.network
        return Recipe(
            stem,
            self.preset,
            self.label,
            self.task,
            network.model,
            network.data,
            network.budget,
            seed,
        )


@dataclass(frozen=True)
class Study:
    """One paper.

    Attributes:
        stem: its name in the code.
        cases: preset -> the cases to run.
        compared: its tables.
    """

    stem: str
    cases: Callable[[str], Iterable[Case]]
    compared: tuple[Table, ...] = ()

    @cached_property
    def said(self) -> printed.Said:
        """Its `study.toml`. Errors: ValueError, an entry is unknown, missing or of no table."""
        said = printed.stated(self.stem)
        titles = [title for table in self.compared for title in table.titles]
        for begin in said.readme:
            if titles and not any(title.startswith(begin) for title in titles):
                raise ValueError(
                    f"printed: `readme` in `{self.stem}/study.toml` must have beginnings of the"
                    f" titles of tables: {'; '.join(titles)}; got {begin!r}"
                )
        return said

    def asked(self, preset: str) -> list[Case]:
        """The cases of a preset. Errors: ValueError, the preset or a case's row is unknown."""
        found = [
            replace(case, preset=case.preset or preset) for case in self.cases(check_preset(preset))
        ]
        for case in found:
            self._check_printed(case)
        return found

    def _check_printed(self, case: Case) -> None:
        for word in filter(None, case.printed):  # an empty one stands for none
            if word not in self._words:
                raise ValueError(
                    "Case: `printed` must be values of a printed row in"
                    f" `data/papers/{self.stem}`; got {word!r}, which no table has"
                    f" (case `{case.label}`)"
                )

    @cached_property
    def _words(self) -> set[str]:
        return printed.words(self.stem)

    def recipes(self, preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
        """All recipes of a preset, by part; parts that only other presets have are empty.

        Raises:
            ValueError: an unknown preset.
        """
        seeds = list(seeds)
        found = {case.part: [] for name in (preset, *PRESETS) for case in self.asked(name)}
        for case in self.asked(preset):
            own = seeds[: case.seeds] if case.data else (0,)  # what is counted has no seed
            found[case.part] += [case.recipe(self.stem, seed) for seed in own]
        return found

    def results(self, rows: Iterable[dict]) -> Results:
        """All cases, each with its runs among these rows."""
        return Results(self, rows)

    def tables(self, rows: Iterable[dict]) -> dict[str, pd.DataFrame]:
        """Title -> table of `prunelab.study.cells`, made from ledger rows of any preset."""
        results = self.results(rows)
        return {
            title: frame
            for table in self.compared
            for title, frame in table.frames(results).items()
        }

    def command(self, preset: str) -> str:
        """The command that measures a preset."""
        return f"prunelab run {self.said.notebook} --preset {preset}"

    def printed(self, table: str) -> pd.DataFrame:
        return printed.printed(self.stem, table)

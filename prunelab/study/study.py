"""A paper as a declaration: the cases that are run, and the tables that compare them with print.

What the paper says (title, citation, deviations, captions) stands in `study.toml` beside its CSVs.
A study walks its cases and looks up the ledger row of each; a row of no case counts nowhere.
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
    """Something that is run: a task on a network.

    Attributes:
        part: what it is for; a notebook runs its recipes part by part.
        name: what tables and figures call it: a method, or a network under a rule.
        network: the network before anything is pruned.
        task: what is measured, from `prunelab.study.tasks`.
        setting: its variant, where there are several of one name.
        printed: the printed row that it stands for, in the columns that a table matches by.
        seeds: how many seeds are measured at most; None = all that are asked for.
        preset: under which its rows are kept; None = the one that is asked for.
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
        """Name and setting."""
        return f"{self.name}, {self.setting}" if self.setting else self.name

    @property
    def model(self) -> str:
        """The network's name."""
        return self.network.model

    @property
    def data(self) -> str | None:
        """The images' name."""
        return self.network.data

    def recipe(self, stem: str, seed: int) -> Recipe:
        """How one seed of it is measured."""
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
        cases: preset -> what is run there.
        compared: the tables.
    """

    stem: str
    cases: Callable[[str], Iterable[Case]]
    compared: tuple[Table, ...] = ()

    @cached_property
    def said(self) -> printed.Said:
        """Its `study.toml`. TypeError: an unknown or a missing entry."""
        return printed.stated(self.stem)

    def asked(self, preset: str) -> list[Case]:
        """The cases of a preset. ValueError: an unknown preset."""
        found = self.cases(check_preset(preset))
        return [replace(case, preset=case.preset or preset) for case in found]

    def recipes(self, preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
        """All recipes of a preset, by part; a part that only other presets have is empty.

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
        """The lines of all cases, each with the runs that are among these rows."""
        return Results(self, rows)

    def tables(self, rows: Iterable[dict]) -> dict[str, pd.DataFrame]:
        """Title -> table of `prunelab.study.cells`, from ledger rows of any preset."""
        results = self.results(rows)
        return {
            title: frame
            for table in self.compared
            for title, frame in table.frames(results).items()
        }

    def command(self, preset: str) -> str:
        """What measures a preset."""
        return f"prunelab run {self.said.notebook} --preset {preset}"

    def printed(self, table: str) -> pd.DataFrame:
        """A table of the paper."""
        return printed.printed(self.stem, table)

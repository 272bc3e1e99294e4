"""Estimates: the seconds of rows on the same kind of device, and nothing said that is not known."""

from dataclasses import replace

import pytest

from prunelab.methods import FilterNorm
from prunelab.study import ledger, rows
from prunelab.study.recipes import Recipe, plain
from prunelab.study.runner.done import among, told
from prunelab.study.runner.estimates import Estimates, said
from prunelab.study.tasks import Baseline, Prune
from prunelab.train import Budget

ONE = Recipe("toy", "quick", "whole", Baseline(), "lenet-5", "digits", Budget(epochs=1))
CUT = replace(ONE, label="half", task=Prune(FilterNorm(0.5)))


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A committed ledger, and a run's."""
    monkeypatch.setattr(ledger, "COMMITTED", tmp_path / "committed")
    return tmp_path / "committed", tmp_path / "run"


def add(folder, recipe, seconds, device="cpu", date="2026-01-01", **values):
    row = {"stem": "toy", "key": recipe.key, "label": recipe.label, "seed": recipe.seed}
    row |= {"preset": "quick", "recipe": plain(recipe), "values": values, "date": date}
    rows.append(folder / "toy.jsonl", row | {"seconds": seconds, "device": device})


def test_a_gpu_says_nothing_of_a_cpu_nor_the_other_way_round(folders):
    committed, run = folders
    add(committed, ONE, 1140.0)
    add(run, ONE, 12.0, "cuda")
    assert Estimates(run, "cpu").seconds(ONE) == 1140
    assert Estimates(run, "cuda").seconds(ONE) == 12
    assert Estimates(run, "cuda").seconds(CUT) is None


def test_a_recipe_without_a_row_takes_the_median_of_those_like_it(folders):
    committed, run = folders
    for seed, seconds in enumerate((10.0, 30.0, 90.0), 1):
        add(committed, replace(ONE, seed=seed), seconds)
    assert Estimates(run, "cpu").seconds(ONE) == 30
    assert Estimates(run, "cpu").seconds(CUT) is None


@pytest.mark.parametrize(("seconds", "taken"), [(0.13, 6.65), (6.65, 6.65)])
def test_a_training_counts_though_it_was_over_when_its_row_was_measured(folders, seconds, taken):
    committed, run = folders
    add(committed, ONE, seconds, training_seconds=6.52)
    assert Estimates(run, "cpu").seconds(ONE) == pytest.approx(taken)


def test_what_is_unknown_makes_the_rest_a_lower_bound():
    assert said([60.0, 30.0], 1) == "on 1 worker: about 2 min"
    assert said([600.0, 60.0], 2) == "on 2 workers: about 10 min", "the longest one is not shared"
    assert said([60.0, None, None], 2) == "on 2 workers: at least 60 s; 2 of 3 unknown"
    assert said([None, None], 2) == "on 2 workers: no row says how long"
    assert said([None], 0) == "when a worker is there"


def test_the_table_of_notebooks_has_what_was_measured_since(folders):
    _, run = folders
    add(run, ONE, 5.0, date="2026-01-01")
    add(run, CUT, 7.0, date="2026-01-03")
    add(run, replace(ONE, seed=4), 9.0, date="2026-01-03")  # nobody waited for it
    wanted = {one.key: one for one in (ONE, CUT)}
    assert sorted(done.seconds for done in among(run, wanted, "")) == [5, 7]
    (line,) = told(among(run, wanted, "2026-01-02")).splitlines()[1:]
    assert line.split() == ["notebooks,", "cpu", "1", "0", "7", "s", "toy"]

import json
import threading
from dataclasses import replace

import pytest

from prunelab import paths
from prunelab.study import ledger, rows
from prunelab.study.recipes import Recipe, plain
from prunelab.study.tasks import Baseline, Count
from prunelab.train import Budget

COUNT = Recipe("toy", "smoke", "a count", Count(None, (1, 28, 28)), "lenet-5")
BUDGET = Budget(epochs=3, lr=0.02, batch=256)
TRAINED = Recipe("toy", "smoke", "a net", Baseline(), "lenet-300-100", "digits", BUDGET)
TIMES = {"training_seconds"}


@pytest.fixture(autouse=True)
def run_folder(tmp_path, monkeypatch):
    """A run of its own; the committed ledger is an empty folder."""
    monkeypatch.setattr(ledger, "COMMITTED", tmp_path / "committed")
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "run"))
    for name in ("PRUNELAB_WRITE", "PRUNELAB_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "run"


def measured(recipes, refresh="missing"):
    return ledger.run(recipes, refresh, progress=False)


def values(row):
    return {name: value for name, value in row["values"].items() if name not in TIMES}


def row_of(recipe, values=None, /, **fields):
    """A row as a run writes it, without measuring anything."""
    row = {"key": recipe.key, "values": values or {}, "recipe": plain(recipe), "device": "cpu"}
    row |= {name: getattr(recipe, name) for name in ("stem", "preset", "label", "seed")}
    return {**row, "date": "2025-12-31T00:00:00+00:00", **fields}


def lines(folder):
    return (folder / "ledger" / "toy.jsonl").read_text().splitlines()


def test_looking_up_measures_nothing(run_folder):
    assert measured(COUNT, refresh=False) == []
    assert not run_folder.exists()


def test_missing_measures_once_and_then_looks_up(run_folder):
    (first,) = measured(COUNT)
    assert measured(COUNT) == measured(COUNT, refresh=False) == [first]
    assert len(lines(run_folder)) == 1
    assert first["values"]["params"] == 431_080


def test_true_measures_again_and_the_last_row_stands(run_folder):
    measured(COUNT)
    (second,) = measured(COUNT, refresh=True)
    assert len(lines(run_folder)) == 2
    assert ledger.rows("toy") == [second]


def test_a_refresh_of_the_series_measures_each_recipe_once(run_folder, monkeypatch):
    put(run_folder / "ledger", row_of(COUNT))
    monkeypatch.setenv("PRUNELAB_SINCE", "2026-01-01T00:00:00+00:00")
    (new,) = measured(COUNT, True)
    assert new["values"]["params"] == 431_080
    assert measured([COUNT, COUNT], True) == [new, new]  # an interrupted one goes on so
    assert len(lines(run_folder)) == 2


@pytest.mark.parametrize("refresh", ["all", None, 2, "True"])
def test_another_refresh_is_refused(refresh):
    with pytest.raises(ValueError, match="must be False, 'missing' or True; got"):
        ledger.run(COUNT, refresh)


def test_rows_come_in_the_order_of_the_recipes_and_missing_ones_are_left_out():
    other = replace(COUNT, task=Count(None, (1, 28, 28), 5))
    third = replace(COUNT, task=Count(None, (1, 28, 28), 7))
    measured([COUNT, other])
    assert [r["key"] for r in measured([other, third, COUNT], False)] == [other.key, COUNT.key]


def test_a_row_says_what_was_measured_when_on_what(run_folder):
    (row,) = measured(TRAINED)
    assert (row["key"], row["stem"], row["preset"]) == (TRAINED.key, "toy", "smoke")
    assert (row["label"], row["seed"], row["device"]) == ("a net", 0, "cpu")
    assert row["recipe"]["budget"]["kind"] == "budget"
    assert set(row["versions"]) == {"python", "torch", "torchvision", "prunelab"}
    assert row["data_checksum"] and row["threads"] >= 1 and row["seconds"] >= 0
    assert row["date"].endswith("+00:00") and row["commit"]
    assert len(row["values"]["history"]) == 3
    best = max(r["test_accuracy"] for r in row["values"]["history"])
    assert row["values"]["best_accuracy"] == best
    assert row["values"]["accuracy"] == row["values"]["history"][-1]["test_accuracy"]
    assert json.loads(lines(run_folder)[0]) == row


def test_a_line_that_was_cut_off_is_ignored_and_repaired_by_the_next_row(run_folder):
    (first,) = measured(COUNT)
    path = run_folder / "ledger" / "toy.jsonl"
    whole = path.read_text()
    path.write_text(whole + whole[:50])
    assert ledger.rows("toy") == [first]
    other = replace(COUNT, task=Count(None, (1, 28, 28), 5))
    measured(other)
    assert path.read_text().startswith(whole)
    assert [json.loads(line)["key"] for line in lines(run_folder)] == [COUNT.key, other.key]


def test_a_file_of_one_cut_off_line_is_an_empty_ledger(run_folder):
    path = run_folder / "ledger" / "toy.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"key": "abc", "val')
    assert ledger.rows("toy") == []
    measured(COUNT)
    assert len(lines(run_folder)) == 1


def test_rows_appended_at_once_are_all_whole(run_folder):
    def add(worker):
        for n in range(20):
            row = row_of(COUNT, {"long": "x" * 20_000}, key=f"{worker}-{n}")
            rows.append(ledger.folder() / "toy.jsonl", row)

    workers = [threading.Thread(target=add, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({row["key"] for row in ledger.rows("toy")}) == 80


def put(folder, row):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "toy.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def test_a_run_sees_its_own_rows_only(run_folder, tmp_path, monkeypatch):
    put(ledger.COMMITTED, row_of(COUNT))
    assert measured(COUNT, False) == []
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "another"))
    measured(COUNT)
    monkeypatch.setenv("PRUNELAB_RUNS", str(run_folder))
    assert measured(COUNT, False) == []


def test_outside_a_run_committed_rows_are_found_and_own_ones_win(tmp_path, monkeypatch):
    monkeypatch.delenv("PRUNELAB_RUNS")
    monkeypatch.setattr(paths, "project", lambda: tmp_path)
    put(ledger.COMMITTED, row_of(COUNT, {"from": "git"}))
    assert measured(COUNT, False)[0]["values"] == {"from": "git"}
    (row,) = measured(COUNT, True)
    assert (tmp_path / "runs" / "ledger" / "toy.jsonl").is_file()
    assert measured(COUNT, False) == [row]
    assert len(ledger.read(ledger.COMMITTED / "toy.jsonl")) == 1


def test_writing_the_projects_outputs_goes_to_the_committed_ledger(run_folder, monkeypatch):
    monkeypatch.setenv("PRUNELAB_WRITE", "1")
    (row,) = measured(COUNT)
    assert ledger.read(ledger.COMMITTED / "toy.jsonl") == [row]
    assert not (run_folder / "ledger").exists()
    monkeypatch.delenv("PRUNELAB_WRITE")
    assert measured(COUNT, False) == []


def test_a_run_trains_its_own_network_and_a_reader_takes_the_shipped_one(
    run_folder, tmp_path, monkeypatch
):
    measured(TRAINED)
    (run_folder / "checkpoints").rename(tmp_path / "shipped")
    monkeypatch.setattr(ledger, "CHECKPOINTS", tmp_path / "shipped")
    asked, fit = [], ledger.train.fit
    monkeypatch.setattr(ledger.train, "fit", lambda *a, **k: asked.append(a) or fit(*a, **k))
    monkeypatch.setattr(paths, "in_a_run", lambda: False)
    measured(TRAINED, True)
    assert not asked
    monkeypatch.setattr(paths, "in_a_run", lambda: True)
    measured(TRAINED, True)
    assert len(asked) == 1

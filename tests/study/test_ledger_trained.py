"""Networks that the ledger trains: once a run, stored, and resumed after a kill."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from test_ledger import BUDGET, TRAINED, measured, run_folder, values  # noqa: F401

from prunelab.methods import FilterNorm
from prunelab.study import ledger
from prunelab.study.tasks import Prune, Scan
from prunelab.study.work import Work
from prunelab.train import Budget, checkpoint


def test_a_run_trains_each_network_once(run_folder, monkeypatch):  # noqa: F811
    pruned = replace(TRAINED, task=Prune(FilterNorm(0.5)))
    (whole,) = measured(TRAINED)

    def no_training(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(ledger.train, "fit", no_training)
    (row,) = measured(pruned)
    assert row["values"]["widths"] == {"fc1": 150, "fc2": 50}
    assert values(measured(TRAINED, True)[0]) == values(whole)  # trained by this process
    (stored,) = (run_folder / "checkpoints").glob("*.safetensors")
    os.utime(stored, (0, 0))  # as if an earlier run had trained it
    assert measured(replace(pruned, preset="quick"))[0]["values"] == row["values"]
    with pytest.raises(AssertionError, match="trained again"):
        measured(TRAINED, True)


def test_a_stored_network_gives_the_same_rows_as_a_fresh_one(tmp_path, monkeypatch):
    recipes = [
        replace(TRAINED, task=Prune(FilterNorm(0.5), Budget(epochs=1, lr=0.01, batch=256))),
        replace(TRAINED, task=Scan((0.5,), images=100, retrain=replace(BUDGET, epochs=0.2))),
    ]
    first = [values(measured(recipe)[0]) for recipe in recipes]  # the second loads the network
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "another"))
    second = [values(measured(recipe)[0]) for recipe in reversed(recipes)][::-1]
    assert first == second


# name -> recipe, what is written as it goes, and which of these calls is the last one.
KILLS = {
    "training": (TRAINED, "checkpoint.write", 2),
    "retraining": (
        replace(TRAINED, task=Prune(FilterNorm(0.5), replace(BUDGET, epochs=2))),
        "checkpoint.write",
        4,  # the baseline takes 3
    ),
    "scan": (
        replace(TRAINED, task=Scan((0.5, 0.9), images=50, retrain=replace(BUDGET, epochs=0.3))),
        "Work.keep",
        3,  # of 4 points
    ),
}
KILLED = """
import os, signal, sys
from prunelab.study import ledger
from prunelab.study.work import Work
from prunelab.train import checkpoint
import test_ledger_trained as tests

recipe, place, last = tests.KILLS[sys.argv[1]]
owner, name = {"checkpoint": checkpoint, "Work": Work}[place.split(".")[0]], place.split(".")[1]
write, calls = getattr(owner, name), []

def write_and_die(*arguments):
    write(*arguments)
    calls.append(1)
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, write_and_die)
tests.measured(recipe)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
@pytest.mark.parametrize("what", KILLS)
def test_a_measurement_killed_in_the_middle_ends_with_the_same_values(
    what,
    run_folder,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    recipe, place, _ = KILLS[what]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, what]
    died = subprocess.run(command, env=env, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert ledger.rows("toy") == []
    left = [f.name for f in (run_folder / "partial").rglob("*.*")]
    assert left == {"training": [], "retraining": ["retraining.fit"], "scan": ["points.json"]}[what]

    calls, owner = [], checkpoint if place == "checkpoint.write" else Work
    write = getattr(owner, place.split(".")[1])
    monkeypatch.setattr(owner, place.split(".")[1], lambda *a: (calls.append(1), write(*a)))
    (resumed,) = measured(recipe)
    assert len(calls) == 1  # the one epoch, or the one point, that was missing
    assert not [*(run_folder / "partial").rglob("*.*")]
    assert sorted(f.suffix for f in (run_folder / "checkpoints").iterdir()) == [
        ".json",
        ".safetensors",
    ]
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "unbroken"))
    (unbroken,) = measured(recipe)
    assert resumed["key"] == unbroken["key"]
    assert values(resumed) == values(unbroken)

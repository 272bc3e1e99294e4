"""A notebook is stopped when it stands still, not when it takes long."""

import itertools
import os
import threading
from dataclasses import replace

import pytest
import torch
from filelock import FileLock
from helpers.series import SAY_PID, SLEEP, add_notebook, gone, run, wait_for
from test_ledger import TRAINED

from prunelab import data, models, paths, pulse, sensitivity, train
from prunelab.study import ledger
from prunelab.study.runner import execution, series
from prunelab.study.runner.plan import plan
from prunelab.study.tasks import Count


@pytest.fixture
def signs(tmp_path, monkeypatch):
    """The file that the runner would watch."""
    monkeypatch.setenv(paths.PROGRESS, str(tmp_path / "signs"))
    monkeypatch.setattr(pulse, "_place", {})
    return tmp_path / "signs"


@pytest.fixture
def said(signs, monkeypatch):
    """Every place that is announced, in order."""
    places = []
    write = pulse._write

    def remember():
        write()
        places.append(signs.read_text())

    monkeypatch.setattr(pulse, "_write", remember)
    return places


def test_places_are_nested_and_end_with_what_holds_them(said):
    for _ in pulse.each("recipe", "ab"):
        pulse.at("epoch", 1, 2)
        pulse.at("epoch", 2, 2)
    pulse.beat()
    assert said == [
        "recipe 1 of 2",
        "recipe 1 of 2, epoch 1 of 2",
        "recipe 1 of 2, epoch 2 of 2",
        "recipe 2 of 2",
        "recipe 2 of 2, epoch 1 of 2",
        "recipe 2 of 2, epoch 2 of 2",
        *said[6:],
    ]
    assert set(said[6:]) <= {""}


def test_beats_are_written_once_in_a_while_and_an_error_ends_the_part(said, monkeypatch):
    now = iter([10.0, 10.4, 11.2, 11.3, 12.4])
    monkeypatch.setattr(pulse, "_last", 0.0)
    monkeypatch.setattr(pulse.time, "monotonic", lambda: next(now))
    for _ in range(5):
        pulse.beat()
    assert len(said) == 3
    with pytest.raises(KeyError):
        for _ in pulse.each("recipe", "ab"):
            raise KeyError
    assert pulse._place == {}


def test_without_a_file_or_with_a_full_disk_nothing_happens(signs, monkeypatch):
    monkeypatch.setenv(paths.PROGRESS, str(signs / "no" / "folder"))
    pulse.at("recipe", 1, 2)
    monkeypatch.delenv(paths.PROGRESS)
    pulse.at("recipe", 2, 2)
    assert pulse._place == {"recipe": "2 of 2"} and not signs.exists()


def test_recipes_epochs_steps_and_scans_are_progress(said, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "run"))
    monkeypatch.setattr(pulse, "PACE", 0.0)
    second = replace(TRAINED, task=Count(None, (1, 28, 28)), budget=None, data=None)
    ledger.run([TRAINED, second], "missing", progress=False)
    places = list(dict.fromkeys(said))
    assert [p for p in places if "epoch" in p] == [
        f"recipe 1 of 2, epoch {k} of 3" for k in (1, 2, 3)
    ]
    assert places[0] == "recipe 1 of 2" and "recipe 2 of 2" in places
    assert len(said) > 3 * len(places), "every step is a sign"
    for measure in (scan, evaluate):
        said.clear()
        measure()
        assert len(said) >= 3, measure


def scan():
    torch.manual_seed(0)
    split = data.load("digits").val[:50]
    sensitivity.scan(models.build("lenet-5"), split, ratios=[0.2, 0.5], progress=False)


def evaluate():
    train.evaluate(models.build("lenet-5"), data.load("digits").test, batch=100)


def test_waiting_for_a_lock_that_another_holds_is_progress(tmp_path, said, monkeypatch):
    monkeypatch.setattr(pulse, "PACE", 0.01)
    other = FileLock(tmp_path / "lock", thread_local=False)
    other.acquire()
    threading.Thread(target=lambda: (wait_for(lambda: len(said) >= 3), other.release())).start()
    with pulse.held(FileLock(tmp_path / "lock")):
        assert len(said) >= 3
    assert not other.is_locked


class Clock:
    """Stands in for the time of the watch."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_only_time_without_a_sign_counts(project, monkeypatch):
    clock, places = Clock(), []
    monkeypatch.setattr(execution, "clock", clock)
    add_notebook(project, "00-first", "1")
    checked = plan(device="cpu", root=project, limit=100)
    watched = execution.Execution(checked.notebooks[0], checked)
    monkeypatch.setattr(watched, "kill", lambda: True)
    file = watched.signs
    file.parent.mkdir()
    for step in range(50):  # 50 x 90 s, each with a sign of some kind
        clock.now += 90
        if step % 2:
            watched.cell += 1
        else:
            file.write_text(f"recipe {step} of 50")
            os.utime(file, (step, step))
        watched.look()
        places.append(watched.place)
    clock.now += 100
    watched.look()
    os.utime(file, (99, 99))  # a beat: same words, another time
    watched.look()
    assert not watched.stuck
    clock.now += 101
    watched.look()
    assert watched.stuck
    assert places[:2] == ["cell 0, recipe 0 of 50", "cell 1, recipe 0 of 50"]
    assert watched.place == places[-1] == "cell 25, recipe 48 of 50"


def test_a_notebook_that_stands_still_is_stopped_and_kept_for_reading(project, monkeypatch):
    tell = "from prunelab import pulse; pulse.at('recipe', 3, 12); pulse.at('epoch', 2, 4)"
    add_notebook(project, "00-slow", f"print('so far'); {tell}", f"{SAY_PID}; {SLEEP}")
    pid, hours = project / "notebooks/pid", itertools.count(step=1e6)
    # Hours pass between any two looks, once the kernel is in its endless cell.
    monkeypatch.setattr(execution, "clock", lambda: next(hours) if pid.exists() else 0.0)
    [slow] = run(project, limit=5e5)
    assert slow.status == "failed"
    assert slow.error == (
        "cell 4, recipe 3 of 12, epoch 2 of 4: no progress for 500000 s (see --limit); "
        "the same command goes on where it stopped"
    )
    wait_for(lambda: gone(pid), 10)
    left = [path.name for path in (project / "runs/quick/notebooks").iterdir()]
    assert left == ["00-slow.failed.ipynb"]
    assert "so far" in (project / "runs/quick/notebooks" / left[0]).read_text()
    assert not list((project / "runs/quick/logs").glob("*.progress"))


def test_the_bar_says_where_a_notebook_is(project):
    add_notebook(project, "00-first", "1")
    checked = plan(device="cpu", root=project)
    runner = series._Runner(checked, progress=True)
    watched = execution.Execution(checked.notebooks[0], checked)
    watched.cell = 2
    runner.running.append(watched)
    runner._look()
    assert runner.bar.desc == "00-first cell 2" and runner.bar.n == 2
    runner.bar.close()

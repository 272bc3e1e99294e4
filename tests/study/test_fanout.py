"""Fan-out: whatever dies, each recipe has one row, and it is the row that it has alone."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import psutil
import pytest
from helpers.dummy import Echo
from helpers.ports import free_port
from helpers.series import add_notebook, wait_for

from prunelab.methods import FilterNorm
from prunelab.study import ledger, papers, rows
from prunelab.study.networks import Network
from prunelab.study.runner import fanout, worker
from prunelab.study.runner.done import Done, told
from prunelab.study.runner.estimates import span
from prunelab.study.runner.plan import plan
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Count, Prune
from prunelab.train import Budget

FEW = range(2)
BUDGET = Budget(epochs=1.5, lr=0.02, batch=64)
TRAINED = Network("lenet-5", "digits", BUDGET)
CUT = Prune(FilterNorm(0.5), BUDGET)
SLOW = Case("all", "whole", TRAINED, Baseline()), Case("all", "half", TRAINED, CUT)
LINEAR = Network("lenet-300-100")
MANY = [Case("all", f"number {n}", LINEAR, Echo(n)) for n in range(200)]
QUICK = (Case("all", "counted", LINEAR, Count(None, (1, 28, 28))),)
BROKEN = (Case("all", "broken", LINEAR, Count(None, (1, 3, 3))),)


def carried_out(checked):
    return fanout.carry_out(checked, fanout.wanted(checked, ["toy"]), progress=False)


def rows_of(checked):
    lines = (checked.out / "ledger" / "toy.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def values(row):
    """What does not depend on when and where."""
    if isinstance(row, dict):
        return {k: values(v) for k, v in row.items() if "seconds" not in k}
    return [values(v) for v in row] if isinstance(row, list) else row


def workers_of(process):
    """The processes in which Dask measures."""
    found = psutil.Process(process).children(recursive=True)
    return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


def test_a_worker_killed_in_the_middle_costs_no_row_and_doubles_none(toy, monkeypatch, capsys):
    checked = toy(SLOW, FEW, workers=2)
    assert checked.scheduler == "local"

    def kill():
        wait_for(lambda: [*checked.out.glob("checkpoints/*")])  # both are at work
        workers_of(os.getpid())[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    found = carried_out(checked)
    killer.join()
    found_rows = rows_of(checked)
    assert len(found_rows) == len({row["key"] for row in found_rows}) == len(found) == 4
    assert not any(done.error for done in found)
    monkeypatch.setenv("PRUNELAB_RUNS", str(checked.out.with_name("alone")))
    recipes = papers.study("toy").recipes("quick", FEW)["all"]
    alone = {row["key"]: row for row in ledger.run(recipes, "missing", progress=False)}
    for row in found_rows:
        assert values(row["values"]) == values(alone[row["key"]]["values"])
    said = capsys.readouterr().out
    assert "measuring 4 recipes" in said and "local-1" in said
    assert carried_out(checked) == []


def test_200_recipes_over_4_workers_give_200_rows(toy):
    checked = toy(MANY, (0,), workers=4)
    found = carried_out(checked)
    found_rows = rows_of(checked)
    assert len(found) == len(found_rows) == len({row["key"] for row in found_rows}) == 200
    assert sorted(row["values"]["number"] for row in found_rows) == [*range(200)]
    assert {done.worker for done in found} <= {f"local-{n}" for n in range(1, 5)}


@pytest.fixture
def dask(tmp_path):
    """Starts parts of a Dask cluster, each in a folder of its own; nothing outlives the test."""
    started = []

    def start(part, *arguments, folder="scheduler"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith("PRUNELAB_")}
        env |= {"PRUNELAB_RUNS": str(place / "runs"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", *map(str, arguments)]
        with (place / "log").open("ab") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


def test_rows_of_machines_that_share_no_disk_arrive_though_the_scheduler_is_killed(toy, dask):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    where = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
    one = ("--nworkers", 1, "--nthreads", 1, "--no-dashboard", "--death-timeout", 20)
    checked = toy(SLOW, FEW, scheduler=address)

    first = dask("scheduler", *where)
    for name in ("left", "right"):
        dask("worker", address, *one, "--name", name, folder=name)

    def restart():
        wait_for(lambda: (checked.out / "ledger" / "toy.jsonl").is_file())
        first.send_signal(signal.SIGKILL)
        first.wait()
        dask("scheduler", *where)
        for name in ("left", "right"):  # Dask's end without a scheduler
            dask("worker", address, *one, "--name", name, folder=name)

    killer = threading.Thread(target=restart)
    killer.start()
    found = carried_out(checked)
    killer.join()
    found_rows = rows_of(checked)
    assert len(found_rows) == len({row["key"] for row in found_rows}) == len(found) == 4
    assert {done.worker for done in found} <= {"left", "right"}


def test_a_recipe_that_fails_is_told_of_and_stops_no_other(toy, capsys):
    checked = toy((*BROKEN, *QUICK), (0,), workers=1, scheduler="local")
    found = carried_out(checked)
    assert {done.recipe.label: bool(done.error) for done in found} == {
        "broken": True,
        "counted": False,
    }
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("broken: ")]
    assert "Error" in line
    assert [row["label"] for row in rows_of(checked)] == ["counted"]


def test_a_worker_with_several_threads_ends_the_run_before_it_measures(toy, dask):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    wide = ("--nworkers", 1, "--nthreads", 4, "--no-dashboard", "--death-timeout", 20)
    dask("worker", address, *wide, "--name", "wide", folder="wide")
    checked = toy((*SLOW, *QUICK), (0,), scheduler=address)
    said = r"^run: worker wide must have one thread, .*; got 4: start it with --nthreads 1$"
    with pytest.raises(ValueError, match=said):
        carried_out(checked)
    assert not [*checked.out.glob("ledger/*.jsonl")]


def test_the_first_row_of_a_network_counts_its_training_and_so_does_the_table(toy, capsys):
    checked = toy(SLOW, (0,), workers=1, scheduler="local")
    first, second = sorted(carried_out(checked), key=lambda done: -done.training)
    whole, half = sorted(rows_of(checked), key=lambda row: row["label"], reverse=True)
    training = whole["values"]["training_seconds"]
    assert whole["label"] == "whole" and whole["seconds"] == first.seconds > training > 0
    assert first.training >= training and first.trainer == "local-1" and not second.training
    assert half["seconds"] == second.seconds
    busy = span(first.seconds + second.seconds)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == ["local-1", "2", "0", *busy.split(), "toy"]


def test_the_table_tells_who_trained_and_who_measured():
    recipe = SimpleNamespace(stem="toy")
    found = [Done(recipe, "a", 75.0, trainer="b", training=70.0), Done(recipe, "a", 5.0)]
    lines = told([*found, Done(recipe, error="no luck")]).splitlines()
    assert [line.split() for line in lines] == [
        ["worker", "recipes", "failed", "busy", "of"],
        ["a", "2", "0", "10", "s", "toy"],
        ["b", "0", "0", "70", "s", "toy"],
        ["nowhere", "1", "1", "0", "s", "toy"],
    ]
    assert told([]) == ""


def test_an_interruption_leaves_the_table(toy, monkeypatch, capsys):
    checked = toy(QUICK, (0,), scheduler="tcp://127.0.0.1:9")

    def through(plan, address, recipes, bar):
        yield Done(recipes[0], "local-1", 3.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(fanout, "_through", through)
    with pytest.raises(KeyboardInterrupt):
        carried_out(checked)
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["local-1", "1", "0"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_worker_gives_the_memory_of_a_gpu_back_after_each_recipe(toy, monkeypatch, fails):
    checked, freed = toy(BROKEN if fails else QUICK, (0,)), []
    monkeypatch.setattr(worker, "_settle", lambda given: "one")
    monkeypatch.setenv("PRUNELAB_RUNS", str(checked.out))
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: freed.append(1))
    (recipe,) = fanout.wanted(checked, ["toy"]).values()
    with pytest.raises((RuntimeError, ValueError)) if fails else nullcontext():
        worker.measure(recipe, recipe.key, {}, None, False)
    assert freed == [1]


def test_without_a_scheduler_there_is_one_line(toy, monkeypatch):
    monkeypatch.setattr(fanout, "PATIENCE", 0.5)
    checked = toy(QUICK, (0,), scheduler="tcp://127.0.0.1:9")
    with pytest.raises(OSError, match=r"^run: no scheduler at tcp://127.0.0.1:9 .*dask scheduler"):
        carried_out(checked)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "cloud",
        "tcp://",
        "tcp://host",
        3,
        "http://host:80",
        "tls://host:80",
        "tcp://[::1:80",
        "tcp://host:99999",
        "tcp://a b:80",
    ],
)
def test_another_scheduler_is_refused(project, given):
    add_notebook(project, "01-toy")
    allowed = r"must be tcp://HOST:PORT, local, slurm, kubernetes; got"
    with pytest.raises(ValueError, match=allowed):
        plan(root=project, device="cpu", scheduler=given)


def test_a_scheduler_without_workers_ends_after_the_limit(toy, dask, capsys):
    port = free_port()
    dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    checked = toy(QUICK, (0,), scheduler=f"tcp://127.0.0.1:{port}", limit=1)
    with pytest.raises(RuntimeError, match=r"^run: no worker for 1 s \(see --limit\)$"):
        carried_out(checked)
    assert "measuring 1 recipes when a worker is there" in capsys.readouterr().out


def test_dates_follow_a_ledger_that_others_write(tmp_path):
    path, dates = tmp_path / "toy.jsonl", rows.Dates(tmp_path)
    row = {"stem": "toy", "key": "a", "values": {}, "seed": 0, "recipe": {}, "preset": "quick"}
    row |= {"label": "one", "device": "cpu", "date": "2026"}
    assert dates.of("toy") == {}
    dates.add(row)
    rows.append(path, row | {"key": "b"})  # as a worker that shares the folder does
    dates.add(row | {"key": "b"})
    dates.add(row)
    assert dates.of("toy") == {"a": "2026", "b": "2026"} and len(rows.read(path)) == 2
    dates.add(row | {"date": "2027"})  # measured again
    assert [one["date"] for one in rows.read(path)] == ["2026", "2026", "2027"]
    path.write_bytes(path.read_bytes() + b"no row\n")
    with pytest.raises(ValueError, match=r"^ledger: line 4 of .* is not a row"):
        dates.of("toy")

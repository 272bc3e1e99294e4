"""The runner of the numbered series, on small toy notebooks in projects made for the test."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import pytest
from filelock import FileLock
from helpers.series import SAY_PID, SLEEP, add_notebook, gone, run, wait_for

from prunelab.study import ledger, papers
from prunelab.study.networks import Network
from prunelab.study.runner import fanout, series
from prunelab.study.runner.notebook import DROPPED_TAGS, tags_of
from prunelab.study.runner.plan import plan
from prunelab.study.study import Case
from prunelab.study.tasks import Count


@pytest.fixture
def start(project):
    """Starts `prunelab run` as a user does; nothing outlives the test."""
    started = []

    def start(*arguments) -> subprocess.Popen:
        command = [sys.executable, "-P", "-m", "prunelab", "run", "--device", "cpu", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        runner = subprocess.Popen(command, cwd=project, preexec_fn=hears_ctrl_c, **pipes)
        started.append(runner)
        return runner

    yield start
    for runner in started:
        runner.kill()
        runner.communicate()


def hears_ctrl_c():
    """What a shell starts in the background ignores it, and so would all that tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_run_executes_resumes_and_runs_again_only_what_changed(project, capsys):
    count = "print(PRESET, SEEDS, REFRESH); open('../count', 'a').write('x')"
    add_notebook(project, "00-first", "import os; print(os.environ['PRUNELAB_RUNS'])")
    changing = add_notebook(project, "01-second-one", count)

    first = run(project, workers=2)
    assert [(r.name, r.status) for r in first] == [("00-first", "ok"), ("01-second-one", "ok")]
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[:2] for line in lines) == [
        ["00-first", "ok"],
        ["01-second-one", "ok"],
    ]
    executed = nbformat.read(project / "runs/quick/notebooks/01-second-one.ipynb", 4)
    assert executed.cells[-1].outputs[0].text == "quick [0] missing\n"
    marked = [cell for cell in executed.cells if not DROPPED_TAGS.isdisjoint(tags_of(cell))]
    assert len(marked) == 1 and 'PRESET = "quick"' in marked[0].source
    executed = nbformat.read(project / "runs/quick/notebooks/00-first.ipynb", 4)
    assert executed.cells[-1].outputs[0].text == f"{(project / 'runs/quick').resolve()}\n"

    again = run(project)
    assert [r.before for r in again] == [True, True]
    assert "(done before)" in capsys.readouterr().out

    add_notebook(project, changing.stem, count, "1 + 1")
    assert [r.before for r in run(project)] == [True, False]
    assert (project / "count").read_text() == "xx"
    again = series._Runner(plan(device="cpu", refresh=True, root=project), progress=False)
    assert [again._done_before(book) for book in again.plan.notebooks] == [None, None]
    left = {path.name for path in (project / "runs/quick/notebooks").iterdir()}
    assert left == {"00-first.ipynb", "01-second-one.ipynb"}


def test_a_failing_notebook_is_one_line_and_the_others_still_run(project):
    add_notebook(project, "00-bad", "x = 1", "raise KeyError('the one')\n")
    add_notebook(project, "01-good", "1 + 1")
    add_notebook(project, "02-dies", "import os; os._exit(3)")
    bad, good, dead = run(project, workers=2)
    assert [r.status for r in (bad, good, dead)] == ["failed", "ok", "failed"]
    assert bad.error == "cell 4: KeyError: 'the one'"
    assert bad.line(8).startswith("00-bad    failed")
    assert dead.error.startswith("cell 3: DeadKernelError")
    left = {path.name for path in (project / "runs/quick/notebooks").iterdir()}
    assert left == {"00-bad.failed.ipynb", "01-good.ipynb", "02-dies.failed.ipynb"}
    state = json.loads((project / "runs/quick/state.json").read_text())
    assert [state[name]["status"] for name in sorted(state)] == ["failed", "ok", "failed"]


def test_after_kill_9_only_the_unfinished_runs_again(project, start):
    add_notebook(project, "00-quick", "open('../count', 'a').write('x')")
    slow = "import os, time\nif not os.path.exists('../fast'): time.sleep(60)"
    add_notebook(project, "01-slow", SAY_PID, slow)
    runner = start()
    wait_for((project / "notebooks/pid").exists, runner=runner)
    runner.kill()
    runner.communicate()
    wait_for(lambda: gone(project / "notebooks/pid"), 10)  # no kernel is left behind
    done = sorted(p.name for p in project.glob("runs/quick/notebooks/[0-9]*"))
    assert done == ["00-quick.ipynb"]

    (project / "fast").touch()
    assert [(r.status, r.before) for r in run(project)] == [("ok", True), ("ok", False)]
    assert (project / "count").read_text() == "x"
    assert not list(project.glob("runs/quick/notebooks/.part-*"))


def test_ctrl_c_ends_the_kernels_says_how_to_go_on_and_exits_130(project, start):
    add_notebook(project, "00-slow", SAY_PID, SLEEP)
    runner = start()
    wait_for((project / "notebooks/pid").exists, runner=runner)
    runner.send_signal(signal.SIGINT)
    _, complaint = runner.communicate(timeout=120)
    assert runner.returncode == 130
    assert complaint.splitlines()[-1].startswith("prunelab: interrupted; the same command goes on")
    assert "Traceback" not in complaint
    wait_for(lambda: gone(project / "notebooks/pid"), 5)
    assert not (project / "runs/quick/state.json").exists()


def test_write_commits_outputs_without_traces_of_the_run(project):
    noise = "import sys; print('10%|#', file=sys.stderr); print('in', __import__('os').getcwd())"
    path = add_notebook(project, "00-first", "", noise, "PRESET")
    source = [(c.source, c.cell_type) for c in nbformat.read(path, 4).cells]
    [result] = run(project, write=True)
    assert result.status == "ok"
    text = path.read_text()
    book = nbformat.read(path, 4)
    assert [(c.source, c.cell_type) for c in book.cells] == source
    assert [c.execution_count for c in book.cells[1:]] == [1, None, 2, 3]
    assert [o.text for o in book.cells[3].outputs] == ["in notebooks\n"]
    assert book.cells[4].outputs[0].execution_count == 3
    assert tags_of(book.cells[1]) == ["parameters"]
    for trace in (str(project), "papermill", "injected", "iopub", "start_time"):
        assert trace not in text
    nbformat.validate(book)
    assert run(project, write=True)[0].before, "the committed outputs do not make it another"


def test_write_runs_again_what_was_finished_before_the_last_row_was_measured(project, instant):
    add_notebook(project, "00-first", "1")
    ledger = project / "data/ledger/first.jsonl"
    ledger.parent.mkdir(parents=True)
    ledger.touch()
    run(project, write=True)
    assert run(project, write=True)[0].before
    later = time.time() + 5
    os.utime(ledger, (later, later))
    assert not run(project, write=True)[0].before
    run(project)
    assert run(project)[0].before, "without --write a run sees only its own rows"


def test_several_workers_start_with_what_took_longest_and_report_in_order(project, instant):
    names = ["00-short", "01-long", "02-new"]
    for name in names:
        add_notebook(project, name, "1")
    out = plan(device="cpu", root=project).out
    entries = {
        name: {"status": "ok", "seconds": seconds, "hash": "h"}
        for name, seconds in (("00-short", 5.0), ("01-long", 500.0))
    }
    (out / "state.json").write_text(json.dumps(entries))

    def order(workers):
        runner = series._Runner(plan(device="cpu", root=project, workers=workers), progress=False)
        return [book.name for book in runner._order()]

    assert order(1) == names
    assert order(2) == ["02-new", "01-long", "00-short"]
    assert [result.name for result in run(project, workers=2)] == names


def test_two_runs_do_not_share_a_folder(project, instant):
    add_notebook(project, "00-first", "1 + 1")
    out = plan(device="cpu", root=project).out
    with FileLock(out / "run.lock"), pytest.raises(OSError, match="run: another run writes to '"):
        run(project)
    assert [r.status for r in run(project)] == ["ok"]


def test_one_worker_says_how_long_and_ends_with_a_table(toy, monkeypatch, capsys):
    checked = toy((Case("all", "counted", Network("lenet-5"), Count(None, (1, 28, 28))),), (0,))
    monkeypatch.setattr(papers, "stems", lambda: ("toy",))
    for ends in (KeyboardInterrupt, None):

        def execute(runner, book, ends=ends):
            monkeypatch.setenv("PRUNELAB_RUNS", str(checked.out))
            (part,) = papers.study("toy").recipes("quick", (0,)).values()
            ledger.run(part, "missing" if ends else True, progress=False)
            if ends:
                raise ends
            return series.Result(book.name, "ok", 1.0)

        monkeypatch.setattr(series._Runner, "_execute", execute)
        if ends:
            with pytest.raises(ends):
                series.carry_out(checked, progress=False)
            first, *_, table = capsys.readouterr().out.splitlines()
            assert first == "measuring 1 recipes on 1 worker: no row says how long"
            assert table.split()[:4] == ["notebooks,", "cpu", "1", "0"]
        else:
            series.carry_out(checked, progress=False)
            assert "notebooks," not in capsys.readouterr().out, "nothing was missing"


def test_the_time_of_a_notebook_counts_what_workers_measured_for_it(project, monkeypatch):
    add_notebook(project, "01-filter-norm", "1")
    recipe = SimpleNamespace(stem="filter_norm")
    monkeypatch.setattr(fanout, "wanted", lambda plan, stems: dict.fromkeys(stems, recipe))
    done = [fanout.Done(recipe, "local-1", 500.0), fanout.Done(recipe, "local-2", 70.0)]
    monkeypatch.setattr(fanout, "carry_out", lambda plan, wanted, progress: done)
    (result,) = run(project, workers=2)
    assert 570 < result.seconds < 630

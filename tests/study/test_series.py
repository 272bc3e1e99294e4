"""The runner of the numbered series, on small toy notebooks in projects made for the test."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from filelock import FileLock
from PIL import Image

from prunelab import paths
from prunelab.study import recipes
from prunelab.study.runner import notebook, series
from prunelab.study.runner.committed import committed
from prunelab.study.runner.plan import PRESETS, gpus, plan
from prunelab.study.runner.worker import DROPPED_TAGS, incomplete, tags_of

PARAMETERS = 'PRESET = "quick"\nSEEDS = (0,)\nREFRESH = False'


def add_notebook(project: Path, name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
    """A notebook with a heading, a parameters cell (cell 2) and `cells`."""
    head = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    book = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    book.cells = [nbformat.v4.new_markdown_cell(f"# All about {name}"), head]
    book.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    path = project / "notebooks" / f"{name}.ipynb"
    nbformat.write(book, path)
    return path


KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "prunelab.toml").touch()
    return tmp_path


def run(project, *numbers, **options):
    return series.run(numbers, root=project, device="cpu", progress=False, **options)


@pytest.fixture
def start(project):
    """Starts `prunelab run` as a user does; nothing outlives the test."""
    started = []

    def start(*arguments) -> subprocess.Popen:
        command = [sys.executable, "-P", "-m", "prunelab.cli", "run", "--device", "cpu", *arguments]
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


def wait_for(condition, seconds=300, runner=None):
    end = time.monotonic() + seconds
    while not condition():
        assert runner is None or runner.poll() is None, runner.communicate()
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def gone(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


SAY_PID = "import os, pathlib; pathlib.Path('pid.part').write_text(str(os.getpid()))"
SAY_PID += "; os.replace('pid.part', 'pid')"
SLEEP = "import time; time.sleep(60)"


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


def test_write_runs_again_what_was_finished_before_the_last_row_was_measured(project):
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


def test_write_refuses_another_preset_than_the_source_names(project):
    add_notebook(project, "00-first", "1")
    with pytest.raises(ValueError, match="00-first has 'quick', given 'smoke'"):
        run(project, preset="smoke", write=True)


def test_widget_state_is_dropped_and_views_too():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Box()"}
    output = nbformat.v4.new_output("display_data", data=view)
    book = nbformat.v4.new_notebook(metadata={"widgets": {"state": 1}, "papermill": {}})
    book.cells = [nbformat.v4.new_code_cell("box", outputs=[output], execution_count=7)]
    clean = committed(book, {})
    assert clean["metadata"] == {"language_info": {"name": "python"}}
    assert clean["cells"][0]["outputs"][0]["data"] == {"text/plain": "Box()"}
    assert clean["cells"][0]["execution_count"] == 1


def _book(*cells, **metadata):
    return {"cells": [{"metadata": {}, "cell_type": "code", **c} for c in cells], **metadata}


@pytest.mark.parametrize(
    ("cell", "widgets", "verdict"),
    [
        ({"source": "1", "execution_count": 1, "outputs": []}, {}, None),
        ({"source": " \n", "execution_count": None, "outputs": []}, {}, None),
        ({"source": "1", "execution_count": None, "outputs": []}, {}, "was not executed"),
        (
            {
                "source": "1",
                "execution_count": 1,
                "outputs": [{"output_type": "error", "ename": "E", "evalue": "no"}],
            },
            {},
            "cell 1: E: no",
        ),
        (
            {"source": "1", "execution_count": 1, "outputs": []},
            {"state": {"m": {"outputs": [{"output_type": "error"}]}}},
            "widget",
        ),
        (
            {"source": "1", "execution_count": 1, "outputs": []},
            {"state": {"m": {"value": "Traceback (most recent call last):\n"}}},
            "widget",
        ),
    ],
)
def test_completeness_is_judged_by_counts_errors_and_widget_state(cell, widgets, verdict):
    found = incomplete(_book(cell, metadata={"widgets": widgets}))
    assert found is None if verdict is None else verdict in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "huge"}, "`preset` must be one of smoke, quick, standard, paper; got 'huge'"),
        ({"numbers": ["77"]}, "no notebook '77'; there are: 00-first"),
        ({"parameters": {"SEEDZ": 1}}, "00-first has no parameter 'SEEDZ'; its parameters cell"),
        ({"device": "tpu"}, "`device` must be cpu or cuda; got 'tpu'"),
        ({"workers": 0}, "`workers` must be at least 1; got 0"),
        ({"limit": -1}, "`limit` must be above 0 seconds and at most 604800, a week; got -1"),
        ({"data_root": "nowhere"}, "`data_root` must be a folder; got 'nowhere'"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(project, options, message):
    add_notebook(project, "00-first", "1")
    with pytest.raises((ValueError, OSError)) as error:
        plan(**{"device": "cpu", **options}, root=project)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (project / "runs").exists()


def test_cuda_without_one_is_refused(project, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    add_notebook(project, "00-first", "1")
    with pytest.raises(ValueError, match="`device` is 'cuda' but torch sees none"):
        plan(device="cuda", root=project)
    assert plan(root=project).device == "cpu"


def test_an_unwritable_out_is_refused(project):
    add_notebook(project, "00-first", "1")
    (project / "file").touch()
    with pytest.raises(OSError, match="`out` must be a folder that can be written; got"):
        plan(device="cpu", out=project / "file" / "x", root=project)


def test_a_broken_notebook_is_refused_by_name(project):
    (project / "notebooks/00-broken.ipynb").write_text("{")
    with pytest.raises(ValueError, match=r"00-broken\.ipynb"):
        plan(device="cpu", root=project)


def test_notebooks_are_found_by_number_name_and_stem(project):
    add_notebook(project, "00-start-here")
    add_notebook(project, "01-filter-norm")
    found = notebook.notebooks(project)
    for alias in (
        "1",
        "01",
        "01-filter-norm",
        "filter-norm",
        "filter_norm",
        "01-filter-norm.ipynb",
    ):
        assert [book.name for book in notebook.select([alias], found)] == ["01-filter-norm"]
    assert [book.number for book in notebook.select(["01", "0"], found)] == ["00", "01"]
    assert found[1].title == "All about 01-filter-norm"
    assert paths.project(project / "notebooks") == project.resolve()


def test_data_is_looked_for_in_the_project_wherever_the_kernel_works(project, monkeypatch):
    add_notebook(project, "00-first")
    monkeypatch.delenv("PRUNELAB_DATA", raising=False)
    monkeypatch.setenv("PRUNELAB_WRITE", "1")
    checked = plan(device="cpu", root=project)
    found = checked.environment(gpu="3")
    assert found["PRUNELAB_DATA"] == str(project.resolve() / "data/cache")
    assert found["PRUNELAB_DEVICE"] == "cpu" and found["CUDA_VISIBLE_DEVICES"] == "3"
    assert "PRUNELAB_WRITE" not in found
    named = plan(device="cpu", root=project, data_root=project, write=True).environment(None)
    assert named["PRUNELAB_DATA"] == str(project.resolve()) and named["PRUNELAB_WRITE"] == "1"
    monkeypatch.chdir(project)
    monkeypatch.setenv("PRUNELAB_DATA", "somewhere")
    assert checked.environment(None)["PRUNELAB_DATA"] == str(project.resolve() / "somewhere")


def test_workers_on_cuda_take_the_devices_in_turn(project, monkeypatch):
    add_notebook(project, "00-first")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    three = plan(root=project, workers=3)
    assert gpus(three) == ["4", "6", "4"]
    assert gpus(plan(root=project)) == [None]


def test_workers_share_the_cores(project, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    add_notebook(project, "00-first")
    for cores, workers, threads in ((8, 2, "4"), (2, 2, "1"), (1, 2, "1")):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        checked = plan(device="cpu", root=project, workers=workers)
        assert checked.environment(None)["OMP_NUM_THREADS"] == threads
    assert "OMP_NUM_THREADS" not in plan(device="cpu", root=project).environment(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert checked.environment(None)["OMP_NUM_THREADS"] == "3", "what the user set stands"


def test_several_workers_start_with_what_takes_longest_and_report_in_order(project):
    costs = {"00-short": "under a minute", "01-long": "about 2 minutes", "02-open": "one GPU"}
    for name, cost in costs.items():
        stated = {"prunelab": {"cost": {"quick": cost}}}
        path = add_notebook(project, name, "1")
        nbformat.write(
            nbformat.read(path, 4) | {"metadata": {"kernelspec": KERNEL, **stated}}, path
        )

    def order(workers):
        runner = series._Runner(plan(device="cpu", root=project, workers=workers), progress=False)
        return [book.name for book in runner._order()]

    assert order(1) == list(costs)
    assert order(2) == ["02-open", "01-long", "00-short"]
    entry = {"status": "ok", "seconds": 500.0, "hash": "h"}
    (project / "runs/quick/state.json").write_text(json.dumps({"00-short": entry}))
    assert order(2) == ["02-open", "00-short", "01-long"]
    first = run(project, workers=2)
    assert [result.name for result in first] == list(costs)


@pytest.mark.parametrize(
    ("cost", "seconds"),
    [("under 1 min", 60), ("about 3.7 hours of one CPU core", 13_320), ("about two minutes", 120),
     ("as standard; with ImageNet one GPU, not measured", float("inf")), ("", float("inf"))],
)  # fmt: skip
def test_a_stated_cost_says_how_long_a_run_takes(cost, seconds, project):
    path = add_notebook(project, "00-first")
    book = notebook.Notebook(path)
    book.content["metadata"]["prunelab"] = {"cost": {"quick": cost}}
    assert book.expected("quick") == pytest.approx(seconds)


def test_presets_are_those_of_the_recipes():
    assert PRESETS == recipes.PRESETS
    assert set(recipes.SEEDS) == set(PRESETS)


def test_two_runs_do_not_share_a_folder(project):
    add_notebook(project, "00-first", "1 + 1")
    out = plan(device="cpu", root=project).out
    with FileLock(out / "run.lock"), pytest.raises(OSError, match="run: another run writes to '"):
        run(project)
    assert [r.status for r in run(project)] == ["ok"]


def test_a_committed_picture_is_small_and_looks_the_same():
    raw, shade = io.BytesIO(), np.linspace(0, 255, 200, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(shade, (200, 1))] * 3, 2)).save(raw, "PNG")
    data = {"image/png": base64.b64encode(raw.getvalue()).decode()}
    output = nbformat.v4.new_output("display_data", data=data)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    (clean,) = committed(book, {})["cells"][0]["outputs"]
    with Image.open(io.BytesIO(base64.b64decode(clean["data"]["image/png"]))) as image:
        assert image.mode == "P"
        assert abs(np.asarray(image.convert("L")).astype(int) - shade).max() <= 2
    assert committed(book, {}) == committed(committed(book, {}), {})

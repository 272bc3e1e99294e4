"""The wheel, installed away from the checkout: the core, the explorer, and a study of one's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prunelab.study import papers
from prunelab.widgets.exploring.weights import TRAINED

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKPOINTS = {path.stem for path in (ROOT / "data/checkpoints").iterdir()}
SMOKE = ("run", "00", "--preset", "smoke", "--device", "cpu")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with nothing but the installed wheel; the checkout is not on its path."""
    folder = tmp_path_factory.mktemp("wheel")
    hatch = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*hatch, "--directory", folder], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("prunelab-*.whl")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", folder / "installed"]
    uv = shutil.which("uv", path=Path(sys.executable).parent)  # quicker, but no need of ours
    tool = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
    subprocess.run([*tool, *install, wheel], check=True)
    assert wheel.stat().st_size <= 10e6
    return folder / "installed"


@pytest.fixture
def environment(installed):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRUNELAB_")}
    return kept | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def python(environment, tmp_path):
    """Run Python in an empty folder, or in `cwd`; gives what it printed."""

    def run(*arguments, cwd=tmp_path):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_five_lines_of_the_readme_print_what_it_shows(python, installed, tmp_path):
    block = r"## Five lines\n+```python\n(.*?)```\n+```\n(.*?)```"
    ((lines, shown),) = re.findall(block, README, re.DOTALL)
    *said, file = python("-c", lines + "\nimport prunelab; print(prunelab.__file__)").splitlines()
    assert Path(file).is_relative_to(installed)
    number, shown = re.compile(r"\d[\d.,]*\b"), shown.splitlines()
    assert [number.sub("", line) for line in said] == [number.sub("", line) for line in shown]
    for ours, theirs in zip(number.findall("\n".join(said)), number.findall("\n".join(shown))):
        ours, theirs = (float(text.replace(",", "")) for text in (ours, theirs))
        assert ours == theirs if theirs > 1 else ours == pytest.approx(theirs, abs=0.03)
    assert not list(tmp_path.iterdir())


def test_a_new_study_runs_and_reports_the_committed_results(python, tmp_path):
    said = python("-m", "prunelab", "new-study", "mine")
    study = tmp_path / "mine"
    assert "next: cd mine && prunelab run" in said
    surgery = papers.study("network_surgery").recipes("paper", (0,))["surgery"]  # in notebook 02
    unpruned = papers.study("discrimination_aware").recipes("standard", (0,))["unpruned"]  # in 09
    shown = {recipe.trained_key for recipe in (*surgery, *unpruned)} & CHECKPOINTS
    assert len(shown) == 2
    kept = {path.stem for path in (study / "data/checkpoints").iterdir()}
    assert shown | set(TRAINED.values()) <= kept <= CHECKPOINTS
    for part in ("notebooks", "figures", "data/ledger"):
        names = {path.name for path in (ROOT / part).iterdir() if path.suffix != ".lock"}
        assert {path.name for path in (study / part).iterdir()} == names
    said = python("-m", "prunelab", *SMOKE, cwd=study / "notebooks")
    assert "1 of 1 notebooks finished" in said
    page = (study / "runs" / "smoke" / "report.html").read_text(encoding="utf-8")
    verdicts = set(re.findall(r"within print in \d of \d seeds", README))
    assert verdicts and all(verdict in page for verdict in verdicts)
    assert all(word in page for word in ("data:image/svg", "VGG-16-pruned-A"))


EXPLORE = """
import socket
from unittest import mock
from prunelab import cli
with socket.socket() as found:  # a free port
    found.bind(("localhost", 0))
    port = str(found.getsockname()[1])
with mock.patch("voila.app.main") as started:  # a server that ends at once
    assert cli.main(["explore", "--no-browser", "--port", port]) == 0
assert started.call_args.args[0][0].endswith("explorer.ipynb")
from prunelab.study import app
exec(app.SOURCE)  # what the server shows
from prunelab.widgets.exploring.recorded import shipped
print(*(recording["title"] for recording in shipped()))
"""


def test_the_explorer_has_its_recordings_where_there_is_no_project(python, tmp_path):
    said = python("-c", EXPLORE)
    assert "http://localhost:" in said and "LeNet-5" in said.splitlines()[-1]
    assert not list(tmp_path.iterdir())

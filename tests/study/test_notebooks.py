"""Every notebook is thin, parametrised, committed as executed, and runs from end to end."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prunelab.study import ledger
from prunelab.study.papers import studies, study
from prunelab.study.recipes import SEEDS
from prunelab.study.runner import notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))
STUDIES = studies()
NOT_DRAWN_YET = "preresnet-20"  # its figures appear with its first rows
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text())["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def test_the_series_is_numbered_without_repetition():
    numbers = [p.name[:2] for p in NOTEBOOKS]
    assert numbers[0] == "00"
    assert len(set(numbers)) == len(numbers)


@EACH
def test_parameters_are_the_same_three_and_at_most_two_more(path):
    (cell,) = [c for c in code_cells(path) if "parameters" in c["metadata"].get("tags", [])]
    names = [t.id for node in ast.parse(source(cell)).body for t in node.targets]
    assert names[:3] == ["PRESET", "SEEDS", "REFRESH"]
    assert len(names) <= 5


@EACH
def test_notebooks_are_thin(path):
    for cell in code_cells(path):
        text = source(cell)
        assert len(text.splitlines()) <= 15, text
        assert not text.rstrip().endswith(";"), text
        assert not re.search(r"^\s*[!%]|sys\.path", text, re.MULTILINE), text
        for node in ast.walk(ast.parse(text)):
            assert not isinstance(node, ast.ClassDef), text
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno <= 5, text


@EACH
def test_notebooks_are_committed_as_executed(path):
    cells = code_cells(path)
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    assert not [
        c for c in cells for t in c["metadata"].get("tags", []) if t == "injected-parameters"
    ]
    assert path.stat().st_size <= 800_000


@EACH
def test_a_static_figure_precedes_every_widget(path):
    cells = code_cells(path)
    for before, cell in zip(cells, cells[1:]):
        if "widget" in cell["metadata"].get("tags", []):
            assert any("image/png" in o.get("data", {}) for o in before["outputs"])


@EACH
def test_stated_costs_cover_every_preset(path):
    cost = json.loads(path.read_text())["metadata"].get("prunelab", {}).get("cost", {})
    assert set(cost) == {"smoke", "quick", "standard", "paper"}, f"`prunelab.cost` of {path.name}"


def test_every_notebook_has_a_number():
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS


@pytest.mark.parametrize("stem", STUDIES)
def test_every_study_names_its_notebook(stem):
    name = f"{STUDIES[stem].said.notebook}-{stem.replace('_', '-')}"
    assert name in {path.stem for path in NOTEBOOKS}, f"`notebook` in {stem}/study.toml"


@EACH
def test_every_figure_has_a_caption_and_every_caption_its_figure(path):
    book = notebook.Notebook(path)
    captions = STUDIES[book.stem].said.captions if book.stem in STUDIES else book.captions
    views = {found.stem.partition("--")[2] for found in ROOT.glob(f"figures/{book.name}--*")}
    assert views <= set(captions)
    assert all(view.endswith(NOT_DRAWN_YET) for view in set(captions) - views)


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("02-network-surgery", "standard"),
        ("03-information-bottleneck", "standard"),
        ("03-information-bottleneck", "paper"),
    ],
)
def test_the_hours_stated_are_those_of_the_rows(name, preset):
    paper = study(name[3:].replace("-", "_"))
    seconds = {row["key"]: row["seconds"] for row in ledger.rows(paper.stem)}
    parts = paper.recipes(preset, SEEDS[preset]).values()
    keys = {recipe.key for part in parts for recipe in part}
    hours = sum(seconds.get(key, 0) for key in keys) / 3600  # AlexNet and the VGGs have no rows
    found = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
    cost = found["metadata"]["prunelab"]["cost"][preset]
    stated = re.search(r"about ([\d.]+) hours of one CPU core", cost)[1]
    assert float(stated) == pytest.approx(hours, rel=0.05)
    assert f"about {stated}" in source(found["cells"][0])


def test_the_whole_series_runs_at_smoke(tmp_path):
    options = ["--preset", "smoke", "--workers", "2", "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "prunelab", "run", *options]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PRUNELAB_")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for path in NOTEBOOKS:
        assert re.search(rf"{path.stem}\s+ok", done.stdout + done.stderr), done.stdout
        executed = code_cells(tmp_path / "run" / "notebooks" / path.name)
        assert all(c["execution_count"] for c in executed)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Table 1" in page
    assert "data:image/svg+xml" in page
    rows = ledger.read(tmp_path / "run" / "ledger" / "filter_norm.jsonl")
    assert rows
    assert {row["preset"] for row in rows} == {"smoke"}

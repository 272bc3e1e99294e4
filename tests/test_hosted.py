"""Files for hosts that cannot be tried here: what they name exists, and links lead to notebooks."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "hosted" / "Dockerfile").read_text()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
NOTEBOOKS = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}


def badges(*arguments):
    command = [sys.executable, ROOT / "tools" / "badges.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_image_copies_what_is_there_and_installs_extras_that_exist():
    copied = [line.split()[1:-1] for line in re.findall(r"^COPY .*", DOCKERFILE, re.MULTILINE)]
    assert copied and all((ROOT / part).exists() for parts in copied for part in parts)
    (extras,) = re.findall(r"--editable \"\.\[(.*?)\]\"", DOCKERFILE)
    assert set(extras.split(",")) <= set(EXTRAS)
    first, *_ = re.findall(r"^FROM python:(\d+)\.(\d+)", DOCKERFILE, re.MULTILINE)
    assert (3, 11) <= tuple(map(int, first)) < (3, 14)


@pytest.mark.parametrize("folder", ["tests", "tools", "benchmarks"])
def test_the_image_does_not_need_what_it_leaves_out(folder):
    for path in (ROOT / "prunelab").rglob("*.py"):
        assert not re.search(rf"^(from|import) {folder}\b", path.read_text(), re.MULTILINE)


def test_every_notebook_has_a_link_to_each_host():
    lines = badges("someone/prunelab", "--branch", "v1").stdout.splitlines()[2:]
    assert len(lines) == len(NOTEBOOKS)
    for line in lines:
        colab, binder = re.findall(r"\[open\]\((.*?)\)", line)
        assert "/someone/prunelab/blob/v1/notebooks/" in colab and "/v1?labpath=" in binder
        assert {colab.rpartition("/")[2], unquote(binder).rpartition("/")[2]} <= NOTEBOOKS


def test_the_notebook_for_colab_is_one_and_runs_a_notebook_that_there_is(tmp_path):
    assert badges("someone/prunelab", "--colab", tmp_path / "colab.ipynb").returncode == 0
    book = nbformat.read(tmp_path / "colab.ipynb", 4)
    nbformat.validate(book)
    text = "\n".join(cell.source for cell in book.cells)
    assert "github.com/someone/prunelab.git" in text and "%cd prunelab" in text
    (number,) = re.findall(r"prunelab run (\d\d) ", text)
    assert any(name.startswith(number) for name in NOTEBOOKS)
    (extras,) = re.findall(r"\.\[(.*?)\]", text)
    assert set(extras.split(",")) <= set(EXTRAS)


def test_an_address_that_is_none_is_refused_in_one_line():
    done = badges("prunelab")
    assert done.returncode == 2 and "OWNER/NAME is asked for; got 'prunelab'" in done.stderr

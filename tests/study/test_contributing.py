"""The toy of CONTRIBUTING.md: its blocks fit together, and its modules are strictly typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from prunelab.study import printed
from prunelab.study.study import Study

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```\w*\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


def block(start):
    (found,) = (text for text in BLOCKS if text.startswith(start))
    return found


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The method and the study as modules of one folder, the printed numbers in another."""
    paper = block('"""Pruning without looking').replace("prunelab.methods import", "toy import")
    (tmp_path / "toy.py").write_text(block('"""Remove the last channels'))
    (tmp_path / "paper.py").write_text(paper)
    folder = tmp_path / "papers" / "last_channels"
    folder.mkdir(parents=True)
    (folder / "table1.csv").write_text(block("method,"))
    (folder / "study.toml").write_text(block("notebook ="))
    monkeypatch.setattr(printed, "PAPERS", folder.parent)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_toys_table_shows_the_numbers_as_the_csv_prints_them(toy):
    import paper

    assert isinstance(paper.STUDY, Study) and paper.STUDY.said.notebook == "12"
    table = paper.STUDY.tables([])["Table 1 (preset quick)"].map(str)
    assert table["method"].tolist() == ["whole", "half"]
    assert table["error % printed"].tolist() == ["3.0", "5.0"]
    assert table["MACs removed % printed"].tolist() == ["–", "50.0"]
    sys.modules.pop("paper"), sys.modules.pop("toy")


def test_the_toys_modules_may_join_the_list_of_strictly_typed_ones(toy):
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"]
    done = subprocess.run(
        [*command, toy / "toy.py", toy / "paper.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "2 source files" in done.stdout

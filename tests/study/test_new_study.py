"""`prunelab new-study`: the series in a folder of one's own."""

import pytest

from prunelab import cli, paths
from prunelab.study import new_study


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A small project as it lies in a wheel: read-only, with a lock that a run has left."""
    source = tmp_path / "_project"
    for part in new_study.PARTS:
        (source / part).mkdir(parents=True)
    (source / "notebooks" / "00-start-here.ipynb").write_text("{}")
    (source / "data" / "ledger" / "toy.lock").touch()
    row = source / "data" / "ledger" / "toy.jsonl"
    row.write_text("{}\n")
    row.chmod(0o444)
    monkeypatch.setattr(paths, "shipped", lambda: source)
    monkeypatch.chdir(tmp_path)
    return source


def test_a_new_study_is_a_project_whose_files_can_be_written(shipped, tmp_path, capsys):
    assert cli.main(["new-study", "my study"]) == 0
    assert capsys.readouterr().out == (
        "study: 1 notebooks in 'my study'\nnext: cd 'my study' && prunelab run\n"
    )
    made = (tmp_path / "my study").resolve()
    assert paths.project(made / "data") == made
    ledger = made / "data" / "ledger"
    assert [path.name for path in ledger.iterdir()] == ["toy.jsonl"]
    assert (ledger / "toy.jsonl").stat().st_mode & 0o200


@pytest.mark.parametrize("there", ["a file", "a folder with a file"])
def test_nothing_is_overwritten(there, shipped, tmp_path, capsys):
    mine = tmp_path / "mine"
    if there != "a file":
        mine.mkdir()
        mine = mine / "notes.txt"
    mine.write_text("kept")
    assert cli.main(["new-study", "mine"]) == 2
    assert "`DIR` must be a new or an empty folder; got 'mine'" in capsys.readouterr().err
    assert mine.read_text() == "kept"


def test_half_a_copy_is_no_project(shipped, tmp_path):
    (shipped / "data" / "checkpoints").rmdir()  # the copy fails there
    with pytest.raises(OSError):
        new_study.make(tmp_path / "mine")
    assert not (tmp_path / "mine" / paths.MARKER).exists()

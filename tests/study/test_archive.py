"""An archive gives back the rows that were packed, whatever storage it is on."""

import pandas as pd
import pytest
from helpers.dummy import Echo

from prunelab import cli
from prunelab.study import archive, ledger
from prunelab.study import rows as files
from prunelab.study.recipes import Recipe


@pytest.fixture
def recipes():
    return [Recipe("toy", "quick", f"{n}", Echo(n), "lenet-300-100") for n in range(30)]


@pytest.fixture
def rows(recipes, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "run"))
    return ledger.run(recipes, "missing", progress=False)


@pytest.fixture(params=["folder", "memory"])
def url(request, tmp_path):
    return str(tmp_path) if request.param == "folder" else "memory://prunelab"


def by_key(rows):
    return {row["key"]: row for row in rows}


def test_all_rows_come_back_and_by_key_only_those(rows, url):
    assert archive.pack(rows, url) == {"toy": 30}
    assert by_key(archive.read(url, "toy")) == by_key(rows)
    some = [row["key"] for row in rows[3:7]]
    assert by_key(archive.read(url, "toy", [*some, "another"])) == by_key(rows[3:7])
    assert archive.read(url, "toy", []) == archive.read(url, "other") == []


def test_a_second_packing_adds_and_the_later_date_stands(rows, tmp_path):
    later = rows[4] | {"date": "2999-01-01T00:00:00+00:00", "values": {"number": -1}}
    archive.pack([later, *rows[:5]], str(tmp_path))
    assert archive.pack(rows, str(tmp_path)) == {"toy": 30}
    assert by_key(archive.read(str(tmp_path), "toy"))[later["key"]] == later


def test_the_ledger_finds_rows_of_the_archive_but_a_run_does_not(
    recipes, rows, tmp_path, monkeypatch
):
    archive.pack(rows, str(tmp_path / "archive"))
    monkeypatch.setenv("PRUNELAB_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "new"))
    assert ledger.run(recipes) == []
    monkeypatch.delenv("PRUNELAB_RUNS")
    monkeypatch.setattr(ledger, "folder", lambda: tmp_path / "new" / "ledger")
    assert ledger.run(recipes[:2]) == rows[:2]


def test_the_command_packs_the_committed_rows_and_those_of_runs(rows, tmp_path, capsys):
    assert cli.main(["archive", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    assert by_key(archive.read(str(tmp_path), "toy")) == by_key(rows)
    assert archive.read(str(tmp_path), "sensitivity")  # of no paper
    assert cli.main(["archive", str(tmp_path), "--out", str(tmp_path / "none")]) == 2
    assert "archive: `out` must be a run's folder" in capsys.readouterr().err
    assert cli.main(["archive", "/"]) == 2 and "`url` must be a folder" in capsys.readouterr().err
    assert cli.main(["archive", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("archive: ") and said.endswith(f"papers in {tmp_path}\n")
    committed = files.read(ledger.COMMITTED / "filter_norm.jsonl")
    assert by_key(archive.read(str(tmp_path), "filter_norm")) == by_key(committed)


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "toy.parquet").write_text("nothing of the kind")
    with pytest.raises(ValueError, match=r"^archive: cannot read `.*toy\.parquet`: [^\n]+$"):
        archive.read(str(tmp_path), "toy")
    pd.DataFrame({"key": ["a"], "row": ["{}"]}).to_parquet(tmp_path / "toy.parquet")
    with pytest.raises(ValueError, match=r"^archive: .* holds what is no row: its `key` is null"):
        archive.read(str(tmp_path), "toy")


def test_a_packing_that_fails_leaves_the_archive_as_it_was(rows, tmp_path, monkeypatch):
    archive.pack(rows[:3], str(tmp_path))

    def full(table, path, **_):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        archive.pack(rows, str(tmp_path))
    assert by_key(archive.read(str(tmp_path), "toy")) == by_key(rows[:3])


def test_a_place_that_cannot_be_written_is_named(rows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^archive: cannot write `.*file/toy\.parquet`: [^\n]+$"):
        archive.pack(rows, str(tmp_path / "file"))

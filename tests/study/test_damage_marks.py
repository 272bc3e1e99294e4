"""Marks and states of a run folder that a kill or a full disk has damaged, and left-overs."""

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.series import add_notebook, run
from test_ledger import COUNT, measured, put, row_of, run_folder  # noqa: F401

from prunelab.study.pages import report
from prunelab.study.runner import execution, series
from prunelab.study.runner.plan import plan, refreshing
from prunelab.study.runner.state import State

ENTRY = {
    "status": "ok", "seconds": 1.0, "hash": "h", "preset": "quick", "device": "cpu", "error": None,
    "date": "2026-01-01T00:00:00+00:00",
}  # fmt: skip
BAD_ENTRIES = [
    None, [], {}, {**ENTRY, "status": None}, {**ENTRY, "status": "fine"},
    {**ENTRY, "seconds": None}, {**ENTRY, "seconds": True}, {**ENTRY, "seconds": float("nan")},
]  # fmt: skip
NO_STATES = [b"", b"{", b"[]", b"null", b"\xff", b"\0" * 9, b"[" * 100_000]
NO_STATES += [json.dumps({"00-good": ENTRY, "01-bad": bad}).encode() for bad in BAD_ENTRIES]


@pytest.mark.parametrize("text", NO_STATES)
def test_a_state_that_is_damaged_is_begun_anew_and_named_by_the_report(text, tmp_path, capsys):
    path = tmp_path / "state.json"
    path.write_bytes(text)
    assert State(path).entries == {}
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith("; every notebook runs again\n")
    with pytest.raises(
        ValueError, match=r"report: .*state\.json is not .*; delete it and run again"
    ):
        report.build(tmp_path)


@pytest.mark.parametrize("mark", ["", "\n", "garbage", "\0" * 25, "5"])
def test_a_refresh_whose_mark_is_not_sound_begins_anew(mark, project):
    add_notebook(project, "00-first", "1")
    out = plan(device="cpu", root=project).out
    refreshing(out).write_text(mark)
    before = datetime.now(UTC).replace(microsecond=0)
    checked = plan(device="cpu", root=project, refresh=True)
    assert before <= datetime.fromisoformat(checked.since) <= datetime.now(UTC)
    assert refreshing(out).read_text() == checked.since
    (out / "notebooks/00-first.ipynb").write_text("{}")
    book = checked.notebooks[0]
    entry = {**ENTRY, "hash": checked.key(book), "date": "2026-01-01T00:00:00+00:00"}
    (out / "state.json").write_text(json.dumps({book.name: entry}))
    assert series._Runner(checked, progress=False)._done_before(book) is None


def test_a_sound_mark_is_kept_and_what_came_after_it_is_done(project):
    add_notebook(project, "00-first", "1")
    out = plan(device="cpu", root=project).out
    mark = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="seconds")
    refreshing(out).write_text(mark + "\n")
    checked = plan(device="cpu", root=project, refresh=True)
    assert checked.since == checked.environment(None)["PRUNELAB_SINCE"] == mark
    (out / "notebooks/00-first.ipynb").write_text("{}")
    book = checked.notebooks[0]
    for hours, done in ((3, False), (1, True)):
        date = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
        entry = {**ENTRY, "hash": checked.key(book), "date": date}
        (out / "state.json").write_text(json.dumps({book.name: entry}))
        assert (series._Runner(checked, progress=False)._done_before(book) is not None) == done


@pytest.mark.parametrize("date", ["2025-12-31T00:00:00+00:00", ""])
def test_a_row_of_before_the_refresh_is_measured_again(date, run_folder, monkeypatch):  # noqa: F811
    monkeypatch.setenv("PRUNELAB_SINCE", "2026-01-01T00:00:00+00:00")
    put(run_folder / "ledger", row_of(COUNT, date=date))
    assert measured(COUNT, True)[0]["values"]["params"] == 431_080


def test_left_overs_of_a_kill_go_with_the_next_run(project, instant):
    add_notebook(project, "00-first", "1")
    out = plan(device="cpu", root=project).out
    dead = 2**22 + 1  # beyond the process ids that a system gives
    (out / "checkpoints").mkdir()
    (out / "partial/abc").mkdir(parents=True)
    left = [".state.json.{}-1.part", "checkpoints/.a.json.{}-1.part", "partial/abc/.x.{}.part"]
    for name in left:
        (out / name.format(dead)).touch()
    alive = out / left[0].format(os.getpid())
    alive.touch()
    (out / "notebooks/.part-00-first.ipynb").touch()
    run(project)
    assert [p for p in out.rglob("*part*") if p.is_file()] == [alive]


def test_a_notebook_that_a_full_disk_cut_is_one_line_and_not_taken_for_finished(
    project, monkeypatch
):
    add_notebook(project, "00-first", "1")

    def full(source, target, **_):
        Path(target).write_text('{"cells": [{"cell_ty')
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(execution.papermill, "execute_notebook", full)
    [result] = run(project)
    assert result.error == "cell 0: OSError: [Errno 28] No space left on device"
    left = [path.name for path in (project / "runs/quick/notebooks").iterdir()]
    assert left == ["00-first.failed.ipynb"]


def test_a_state_or_page_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    checked = SimpleNamespace(preset="quick", device="cpu")
    result, state = series.Result("00-first", "ok", 1.0), State(tmp_path / "state.json")
    state.path = tmp_path / "file" / "state.json"
    with pytest.raises(
        OSError, match=r"^run: cannot write `.*state\.json` \(.*\); free some space"
    ):
        state.put(result, checked, "key")
    with pytest.raises(OSError, match=r"^report: cannot write `.*report\.html` \(.*\); free some"):
        report.build(tmp_path / "file")

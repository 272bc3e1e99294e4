"""Fixtures of the study's tests."""

import pytest

from prunelab.study.runner import series


@pytest.fixture
def project(tmp_path):
    """An empty study folder."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "prunelab.toml").touch()
    return tmp_path


@pytest.fixture
def instant(monkeypatch):
    """Notebooks are finished at once, without a kernel."""

    def execute(runner, book):
        runner.plan.target(book).write_text("{}")
        return series.Result(book.name, "ok", 1.0)

    monkeypatch.setattr(series._Runner, "_execute", execute)

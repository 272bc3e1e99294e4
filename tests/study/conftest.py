"""Fixtures of the study's tests."""

import pytest
from helpers.real_data import some_photos
from helpers.series import add_notebook

from prunelab.study import papers
from prunelab.study.runner import series
from prunelab.study.runner.plan import plan
from prunelab.study.study import Study


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


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root with a few real photographs as `imagenet`, and a folder for runs."""
    some_photos(tmp_path / "data/imagenet", kinds=2, train=3)
    monkeypatch.setenv("PRUNELAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path / "runs"))
    return tmp_path


@pytest.fixture
def toy(project, monkeypatch):
    """Plans a run of a paper that has these cases."""

    def planned(cases, seeds, **options):
        study = Study("toy", lambda preset: cases if preset == "quick" else ())
        monkeypatch.setattr(papers, "study", {"toy": study}.__getitem__)
        add_notebook(project, "01-toy")
        more = {"SEEDS": list(seeds)}
        return plan(root=project, device="cpu", parameters=more, **options)

    return planned

"""Where things lie: in a checkout, in a study folder, and where there is neither."""

import os
import subprocess
import sys

import pytest

from prunelab import paths


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As after `pip install` of a wheel: the package lies in no checkout, and neither do we."""
    package = tmp_path / "site-packages" / "prunelab"
    package.mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", package)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("PRUNELAB_PROJECT", "PRUNELAB_RUNS", "PRUNELAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path.resolve()


def study(folder):
    (folder / "notebooks").mkdir(parents=True)
    (folder / paths.MARKER).touch()
    return folder


def test_the_code_of_a_checkout_finds_it_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.project() == paths.PACKAGE.parent == paths.shipped()
    assert paths.cache_folder() == paths.PACKAGE.parent / "data" / "cache"


def test_a_study_folder_is_found_from_below_and_before_the_checkout(tmp_path, monkeypatch):
    made = study(tmp_path / "study").resolve()
    monkeypatch.chdir(made / "notebooks")
    assert paths.project() == paths.results() == made
    assert paths.cache_folder() == made / "data" / "cache"


def test_a_folder_that_merely_has_notebooks_and_a_clone_is_no_project(installed):
    for name in ("notebooks", "prunelab"):
        (installed / "here" / name).mkdir()
    with pytest.raises(FileNotFoundError):
        paths.project()


def test_without_a_project_one_line_says_how_to_make_one(installed):
    for wanted in (paths.project, paths.runs):
        with pytest.raises(FileNotFoundError, match=r"no notebooks at .* `prunelab new-study DIR`"):
            wanted()


def test_without_a_project_results_are_those_of_the_package_and_caches_the_users(
    installed, monkeypatch
):
    assert paths.results() == paths.shipped() == paths.PACKAGE / "_project"
    assert paths.cache_folder() == installed / "home" / ".cache" / "prunelab"
    assert paths.scans() == paths.cache_folder() / "scans"
    monkeypatch.setenv("XDG_CACHE_HOME", str(installed / "xdg"))
    assert paths.cache_folder() == installed / "xdg" / "prunelab"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, as its specification says
    assert paths.cache_folder() == installed / "home" / ".cache" / "prunelab"


def test_variables_come_first(installed, monkeypatch):
    made = study(installed / "study")
    monkeypatch.setenv("PRUNELAB_PROJECT", str(made))
    assert paths.project() == made and paths.runs() == made / "runs"
    for name, folder in (("PRUNELAB_RUNS", paths.runs), ("PRUNELAB_CACHE", paths.scans)):
        monkeypatch.setenv(name, str(installed / "named"))
        assert folder() == installed / "named"
    monkeypatch.setenv("PRUNELAB_PROJECT", "nowhere")
    with pytest.raises(FileNotFoundError, match=r"must be a checkout or a study .* got 'nowhere'"):
        paths.project()


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for writer in (ended.pid, os.getpid(), 10**30):
        (tmp_path / f".table.csv.{writer}-1.part").touch()
    paths.clear(tmp_path)
    kept = {f".table.csv.{os.getpid()}-1.part"}
    if sys.platform == "win32":
        kept = {path.name for path in tmp_path.iterdir()}  # nothing is known of processes there
    assert {path.name for path in tmp_path.iterdir()} == kept

"""Downloads and scans are kept in one absolute place, wherever one works."""

from pathlib import Path

import pytest

from prunelab import paths


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_checkout_has_its_own(elsewhere):
    assert paths.cache_folder() == Path(paths.__file__).resolve().parents[1] / "data" / "cache"


def test_an_installed_package_takes_the_users(elsewhere, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", elsewhere / "site-packages")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert paths.cache_folder() == elsewhere / "home" / ".cache" / "prunelab"
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "xdg"))
    assert paths.cache_folder() == elsewhere / "xdg" / "prunelab"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, as its specification says
    assert paths.cache_folder() == elsewhere / "home" / ".cache" / "prunelab"

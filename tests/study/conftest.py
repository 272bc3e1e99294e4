"""Fixtures of the study's tests."""

import pytest


@pytest.fixture
def project(tmp_path):
    """An empty study folder."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "prunelab.toml").touch()
    return tmp_path

import pytest


@pytest.fixture(autouse=True)
def scans_are_kept_apart(tmp_path, monkeypatch):
    """No test reads what another scan, or the user's, has left."""
    monkeypatch.setenv("PRUNELAB_CACHE", str(tmp_path / "scans"))

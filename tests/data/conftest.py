import pytest
from helpers.mirror import Mirror


@pytest.fixture
def mirrors(monkeypatch):
    """Two servers on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    both = Mirror(), Mirror()
    yield both
    for mirror in both:
        mirror.close()

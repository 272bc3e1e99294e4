import pytest

from prunelab.widgets.exploring import measuring


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    """Tests do not wait for a drag to end."""
    monkeypatch.setattr(measuring, "REST", 0.0)

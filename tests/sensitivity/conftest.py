"""What several tests of the scan share."""

import pytest

from prunelab.sensitivity.scanning import measuring


@pytest.fixture
def judged(monkeypatch):
    """Counts the networks that were really looked at, batch by batch."""
    seen, judge = [], measuring.judge
    monkeypatch.setattr(measuring, "judge", lambda *a: (seen.append(1), judge(*a))[1])
    return seen

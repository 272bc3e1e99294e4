"""Moments that were written down: read back only if they are sound."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # before it, a clock was not set


def now() -> str:
    """This moment, to the second: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moment(text: object) -> datetime | None:
    """What an ISO 8601 text with a zone says; None if it is none, or cannot be true."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    sound = found.tzinfo is not None and EARLIEST <= found <= datetime.now(UTC)
    return found if sound else None


def is_since(text: object, start: str) -> bool:
    """Whether a text is a sound moment, and later than `start`, another one."""
    found, begun = moment(text), moment(start)
    return found is not None and begun is not None and found > begun

"""Timestamps in files: written in one form, and read only if they are valid."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # before it, a clock was not set


def now() -> str:
    """The current time to the second, in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moment(text: object) -> datetime | None:
    """The time in an ISO 8601 text with a time zone; None if it is invalid or implausible."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    sound = found.tzinfo is not None and EARLIEST <= found <= datetime.now(UTC)
    return found if sound else None


def is_since(text: object, start: str) -> bool:
    """Whether both texts are valid times, and the first is later than `start`."""
    found, begun = moment(text), moment(start)
    return found is not None and begun is not None and found > begun

"""Undo: the current ratios and the earlier ones."""

from __future__ import annotations

import time
from collections.abc import Hashable

DRAG = 1.0  # seconds: moves of one control in quicker succession are one step


class UndoStack:
    """What was set, newest last.

    Attributes:
        now: group name -> fraction removed.
    """

    def __init__(self, now: dict[str, float]):
        self.now = now
        self._past: list[dict[str, float]] = []
        self._last: tuple[Hashable, float] = (None, 0.0)

    def __bool__(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._past)

    def change(self, ratios: dict[str, float], drag: Hashable = None) -> None:
        """Set other ratios.

        Args:
            ratios: from now on.
            drag: what is being dragged, if anything: one drag is undone in one step.
        """
        moment = time.monotonic()
        goes_on = drag is not None and drag == self._last[0] and moment - self._last[1] < DRAG
        if ratios != self.now and not goes_on:
            self._past.append(self.now)
        self.now, self._last = ratios, (drag, moment)

    def undo(self) -> None:
        """Go one step back, if there is one."""
        if self._past:
            self.now = self._past.pop()
        self._last = (None, 0.0)

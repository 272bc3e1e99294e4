"""Work: how one measurement is carried out, and what it leaves behind to go on from."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from prunelab.study.worker import write_atomically


@dataclass(frozen=True)
class Work:
    """What a task is told besides what it measures.

    Attributes:
        seed: of method and training.
        progress: show bars.
        folder: of this measurement alone, for what is half done; None = keep nothing.
    """

    seed: int = 0
    progress: bool = False
    folder: Path | None = None

    def checkpoint(self) -> Path | None:
        """Where `train.fit` may keep a training."""
        return None if self.folder is None else self.folder / "training.fit"

    def points(self) -> list[dict]:
        """The points that were measured before a kill."""
        if self.folder is None or not self._points.is_file():
            return []
        return json.loads(self._points.read_text())

    def keep(self, points: list[dict]) -> None:
        """Remember these points; the file is replaced at once."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._points, json.dumps(points))

    def done(self) -> None:
        """Forget what is half done: the measurement is in the ledger."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _points(self) -> Path:
        return self.folder / "points.json"

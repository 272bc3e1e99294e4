"""Work: how one measurement is carried out, and what it leaves behind to go on from."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from prunelab import paths, processes, train
from prunelab.data import Split


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

    def how(self, name: str = "training") -> dict[str, Any]:
        """Arguments of a training, or of a method's run; a measurement with several names them."""
        checkpoint = None if self.folder is None else self.folder / f"{name}.fit"
        return {"seed": self.seed, "progress": self.progress, "checkpoint": checkpoint}

    def points(self, *fields: str) -> list[dict]:
        """The points measured before an interruption; none, with a warning, if they are damaged.

        Args:
            fields: what each of them must have.
        """
        if self.folder is None or not self._points.is_file():
            return []
        try:
            found = json.loads(self._points.read_bytes())
        except ValueError:
            found = None
        points = found if isinstance(found, list) else [None]
        if all(isinstance(point, dict) and {*fields} <= point.keys() for point in points):
            return points
        warnings.warn(f"ledger: `{self._points}` is damaged; it is measured again", stacklevel=2)
        return []

    def keep(self, points: list[dict]) -> None:
        """Remember these points; the file is replaced at once. Errors: OSError, one line."""
        if self.folder is not None and processes.is_first():
            paths.write_text(self._points, json.dumps(points), "ledger.run")

    def done(self) -> None:
        """Forget what is half done: the measurement is in the ledger."""
        if self.folder is not None and processes.is_first():
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _points(self) -> Path:
        return self.folder / "points.json"


def accuracy(net: nn.Module, split: Split) -> float | None:
    """Of a network on some images; None where none are held out."""
    return train.evaluate(net, split).accuracy if len(split) else None

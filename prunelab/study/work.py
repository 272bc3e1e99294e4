"""Work: how one measurement is carried out, and what it leaves behind to go on from."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from prunelab import paths
from prunelab.study import notes


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

    def checkpoint(self, name: str = "training") -> Path | None:
        """Where a training may be kept; a measurement with several names them."""
        return None if self.folder is None else self.folder / f"{name}.fit"

    def points(self, *fields: str) -> list[dict]:
        """The points that were measured before a kill; none, with a warning, if they are damaged.

        Args:
            fields: what each of them must have.
        """
        if self.folder is None:
            return []
        try:
            found = notes.read(self._points)
            if not (isinstance(found, list) and all(_has(point, fields) for point in found)):
                raise notes.DamagedError(f"`{self._points}` does not hold what was measured")
        except FileNotFoundError:
            return []
        except notes.DamagedError as error:
            warnings.warn(f"ledger: {error}; it is measured again", stacklevel=2)
            return []
        return found

    def keep(self, points: list[dict]) -> None:
        """Remember these points; the file is replaced at once. Errors: OSError, one line."""
        if self.folder is not None:
            paths.write_text(self._points, json.dumps(points), "ledger.run")

    def done(self) -> None:
        """Forget what is half done: the measurement is in the ledger."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _points(self) -> Path:
        return self.folder / "points.json"


def _has(point: object, fields: tuple[str, ...]) -> bool:
    return isinstance(point, dict) and all(field in point for field in fields)

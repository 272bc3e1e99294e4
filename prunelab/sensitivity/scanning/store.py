"""Store: the answers of earlier scans, by content, so that a finer grid costs its new points only.

One folder per network, data and setting; in it one file per batch of images. A file holds, for each
point, the correct answers and the loss.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from prunelab import paths
from prunelab.sensitivity.scanning.identity import UnknownError, digest
from prunelab.sensitivity.scanning.passes import Judged

VERSION = 4  # raised when the same content would give other answers or another identity


class Store:
    """Answers by batch of one network, data and setting; without a folder nothing is stored."""

    def __init__(self, folder: Path | None):
        self.folder = folder

    @classmethod
    def at(cls, cache: str | Path | bool | None, *content: object) -> Store:
        """The store of answers that depend on `content`; `cache` is as for `scan`."""
        if cache is False:
            return cls(None)
        place = Path(cache) if cache else paths.scans()
        try:
            folder = place / digest(VERSION, torch.__version__, *content)
        except UnknownError:  # what was kept of another network could come back
            return cls(None)
        if folder.is_dir():
            paths.clear(folder)
        return cls(folder)

    def read(self, batch: str) -> dict[str, Judged]:
        """Point -> answers on that batch; a file that a kill damaged counts as none."""
        if self.folder is None:
            return {}
        try:
            with open(self.folder / f"{batch}.npz", "rb") as file, np.load(file) as raw:
                correct, loss = torch.from_numpy(raw["correct"]), raw["loss"].tolist()
                names = raw["names"].tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}
        return {name: Judged(*seen) for name, *seen in zip(names, correct, loss)}

    def write(self, batch: str, answers: Mapping[str, Judged]) -> None:
        """Replace what is known of a batch; if that fails, warn and store nothing more."""
        if self.folder is None or not answers:
            return
        table = {
            "names": [*answers],
            "correct": torch.stack([answer.correct for answer in answers.values()]).numpy(),
            "loss": [answer.loss for answer in answers.values()],
        }
        try:
            with (
                paths.whole(self.folder / f"{batch}.npz", "scan") as partial,
                partial.open("wb") as file,
            ):
                np.savez_compressed(file, **table)
        except OSError as error:
            place, self.folder = self.folder.parent, None
            reason = getattr(error.__cause__, "strerror", None) or error
            warnings.warn(
                f"scan: answers cannot be kept in `{place}` ({reason}); the scan goes on"
                " without. Name another folder: cache=..., or $PRUNELAB_CACHE",
                UserWarning,
                stacklevel=2,
            )

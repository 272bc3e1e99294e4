"""Store: the answers of earlier scans, by content, so that a finer grid costs its new points only.

One folder per network, data and setting; in it one file per batch of images. A file holds, for each
point, the correct answers (one bit an image), the close calls and the loss.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from prunelab import paths
from prunelab.data import Split
from prunelab.sensitivity.scanning.identity import Identity, UnknownError
from prunelab.sensitivity.scanning.passes import Judged
from prunelab.sensitivity.scanning.program import Program

VERSION = 3  # raised when the same content would give other answers or another identity
WARNED: set[Path] = set()  # folders that could not be written to


def digest(*parts: object) -> str:
    """24 hex digits over programs, splits, tensors and plain values.

    Raises:
        UnknownError: something of a network cannot be told.
    """
    identity = Identity()
    for part in parts:
        if isinstance(part, Program):
            identity.add(part.flow.groups.to_json())
            identity.graph(part.flow.graph, part.source, part.seen.constants)
        elif isinstance(part, Split):
            images = part.images
            if hasattr(images, "paths"):  # photographs on disk: their names and sizes
                images = [(str(path), os.stat(path).st_size) for path in images.paths]
            identity.add((type(part).__qualname__, images, part.labels, part.mean, part.std))
        else:
            identity.add(part)
    return identity.digest()


class Store:
    """Answers by batch; without a folder nothing is stored.

    Args:
        folder: of one network, data and setting; None = keep nothing.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder

    @classmethod
    def at(cls, cache: str | Path | bool | None, *content: object) -> Store:
        """The store of some content.

        Args:
            cache: a folder for all scans; False = keep nothing; None = `$PRUNELAB_CACHE`, or
                scans in `paths.cache_folder`.
            content: everything that the answers depend on.
        """
        if cache is False:
            return cls(None)
        place = Path(cache) if cache else paths.scans()
        try:
            folder = place / digest(VERSION, torch.__version__, *content)
        except UnknownError:  # what was kept of another network could come back for this one
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
                correct, close = (np.unpackbits(raw[k], axis=1) for k in ("correct", "close"))
                n, names, loss = int(raw["n"]), raw["names"].tolist(), raw["loss"].tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}
        flags = (torch.from_numpy(bits[:, :n].astype(bool)) for bits in (correct, close))
        return {k: Judged(c, v, t) for k, c, v, t in zip(names, next(flags), loss, next(flags))}

    def write(self, batch: str, answers: Mapping[str, Judged]) -> None:
        """Replace what is known of a batch; if that fails, warn once and store nothing more."""
        if self.folder is None or not answers:
            return
        seen = list(answers.values())
        bits = {
            name: np.packbits([getattr(a, name).cpu().numpy() for a in seen], axis=1)
            for name in ("correct", "close")
        }
        names, loss = np.array(list(answers)), np.array([a.loss for a in seen])
        try:
            with (
                paths.whole(self.folder / f"{batch}.npz", "scan") as partial,
                partial.open("wb") as file,
            ):
                np.savez(file, names=names, loss=loss, n=len(seen[0].correct), **bits)
        except OSError as error:
            place, self.folder = self.folder.parent, None
            reason = getattr(error.__cause__, "strerror", None) or error
            if place not in WARNED:
                WARNED.add(place)
                warnings.warn(
                    f"scan: answers cannot be kept in `{place}` ({reason}); the scan goes on"
                    " without. Name another folder: cache=..., or $PRUNELAB_CACHE",
                    UserWarning,
                    stacklevel=2,
                )

"""The image files of a folder in ImageNet's layout: each real file once, no loop followed."""

from __future__ import annotations

import os
from pathlib import Path

# Those of torchvision's ImageFolder; case is ignored.
EXTENSIONS = tuple(".jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp".split())
Samples = dict[tuple[int, int], tuple[str, int]]  # device and inode -> path, label


def listed(folder: Path) -> tuple[list[str], Samples]:
    """What lies in the class folders of `folder`, one part of a data set, train or val.

    Links to files and folders elsewhere are followed. Links to a parent folder and hidden files
    (whose names begin with a dot) are skipped; a file that is in a class twice counts once.

    Returns:
        The classes, in label order, and their images in the order of torchvision's ImageFolder.

    Raises:
        ValueError: no class folder, a class without images, a link that leads nowhere, or a file
            in two classes.
        PermissionError: a folder cannot be read.
    """
    real = folder.resolve()
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    classes = [path.name for path in inside if path.resolve() not in (real, *real.parents)]
    if not classes:
        raise ValueError(f"load: '{folder}' is unusable: it has no class folders")
    samples: Samples = {}
    for label, name in enumerate(classes):
        found = {file: (path, label) for file, path in _images(folder / name).items()}
        if not found:
            raise ValueError(
                f"load: '{folder}' is unusable: class {name} has no images (files that end in"
                f" {', '.join(EXTENSIONS)})"
            )
        check_apart(samples, found)
        samples |= found
    return classes, samples


def check_apart(some: Samples, others: Samples) -> None:
    """Refuse a file that is in both: it would count twice."""
    twice = [file for file in others if file in some]
    if twice:
        more = f" (and {len(twice) - 1} more such files)" if len(twice) > 1 else ""
        raise ValueError(
            f"load: '{some[twice[0]][0]}' and '{others[twice[0]][0]}' are the same file, by a link"
            f"{more}; remove one of them, or copy it if it is meant to count twice"
        )


def _images(folder: Path) -> dict[tuple[int, int], str]:
    """Device and inode -> path, of the images below a class folder, sorted by folder and name."""
    paths, seen = [], set(folder.resolve().parents)
    for place, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        real = Path(place).resolve()
        folders[:] = sorted(name for name in folders if name[0] != "." and real not in seen)
        names = [] if real in seen else names
        seen.add(real)
        images = [n for n in names if n[0] != "." and n.lower().endswith(EXTENSIONS)]
        paths += [os.path.join(place, name) for name in images]
    found: dict[tuple[int, int], str] = {}
    for path in sorted(paths, key=os.path.split):
        if not os.path.isfile(path):
            raise ValueError(f"load: '{path}' is no file, or a link that leads nowhere")
        stat = os.stat(path)
        found.setdefault((stat.st_dev, stat.st_ino), path)
    return found


def _unreadable(error: OSError) -> None:
    raise PermissionError(
        f"load: cannot read the folder '{error.filename}' ({error.strerror})"
    ) from error

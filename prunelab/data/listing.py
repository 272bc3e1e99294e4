"""The image files of a folder in ImageNet's layout: each real file once, no loop followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Those of torchvision's ImageFolder; case is ignored.
EXTENSIONS = tuple(".jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp".split())


@dataclass(frozen=True)
class Listing:
    """One part of a data set, train or val.

    Args:
        classes: names of the class folders, in label order.
        samples: (path, label) of each image; class by class, as torchvision's ImageFolder lists.
        files: what each sample is on disk: equal for two paths of one file.
    """

    classes: list[str]
    samples: list[tuple[str, int]]
    files: list[tuple[int, int]]

    @classmethod
    def of(cls, folder: Path) -> Listing:
        """What lies in the class folders of `folder`.

        Links to files and folders elsewhere are followed. Links to a parent folder and hidden
        files (whose names begin with a dot) are skipped; a file that is in a class twice counts
        once.

        Raises:
            ValueError: no class folder, a class without images, a link that leads nowhere, or a
                file in two classes.
            PermissionError: a folder cannot be read.
        """
        classes = [os.path.basename(path) for path in _folders(str(folder))]
        if not classes:
            raise ValueError(f"load: '{folder}' is unusable: it has no class folders")
        samples, files = [], []
        for label, name in enumerate(classes):
            found = _images(str(folder / name))
            if not found:
                raise ValueError(
                    f"load: '{folder}' is unusable: class {name} has no images (files that end in"
                    f" {', '.join(EXTENSIONS)})"
                )
            samples += [(path, label) for path in found.values()]
            files += found
        listing = cls(classes, samples, files)
        listing.check_apart(listing)
        return listing

    def check_apart(self, other: Listing) -> None:
        """Refuse a file that is in both under different paths: it would count twice."""
        paths = {file: path for file, (path, _) in zip(self.files, self.samples)}
        twice = [
            (paths[file], path)
            for file, (path, _) in zip(other.files, other.samples)
            if paths.get(file, path) != path
        ]
        if twice:
            one, two = twice[0]
            more = f" (and {len(twice) - 1} more such files)" if len(twice) > 1 else ""
            raise ValueError(
                f"load: '{one}' and '{two}' are the same file, by a link{more}; remove one of them,"
                " or copy it if it is meant to count twice"
            )


def _images(folder: str) -> dict[tuple[int, int], str]:
    """Device and inode -> path, of the images below a class folder, sorted by folder and name."""
    paths, seen, waiting = [], set(), [folder]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        paths += [(e.is_symlink(), place, e.name, e.path) for e in _entries(place) if _is_image(e)]
        below = _folders(place)
        links = [path for path in below if os.path.islink(path)]
        # Real folders come before linked ones, so that a file is named by its real path.
        waiting = links + waiting + [path for path in below if path not in links]
    found: dict[tuple[int, int], str] = {}
    for *_, path in sorted(paths):
        stat = os.stat(path)
        found.setdefault((stat.st_dev, stat.st_ino), path)
    return dict(sorted(found.items(), key=lambda item: os.path.split(item[1])))


def _folders(place: str) -> list[str]:
    """The folders in `place`, without links to a parent folder, which would never end."""
    inside = os.path.join(os.path.realpath(place), "")
    return [
        entry.path
        for entry in _entries(place)
        if _is(entry, "dir")
        and not inside.startswith(os.path.join(os.path.realpath(entry.path), ""))
    ]


def _entries(place: str) -> Iterator[os.DirEntry]:
    """The entries of a folder, sorted by name, without hidden ones."""
    try:
        with os.scandir(place) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise PermissionError(
            f"load: cannot read the folder '{place}' ({error.strerror})"
        ) from error
    return (entry for entry in found if not entry.name.startswith("."))


def _is_image(entry: os.DirEntry) -> bool:
    if not entry.name.lower().endswith(EXTENSIONS) or _is(entry, "dir"):
        return False
    if not _is(entry, "file"):
        raise ValueError(f"load: '{entry.path}' is no file, or a link that leads nowhere")
    return True


def _is(entry: os.DirEntry, kind: str) -> bool:
    """Whether it is a "dir" or a "file", or a link to one."""
    if entry.is_symlink():  # an entry's own test raises on links in a circle
        return getattr(os.path, f"is{kind}")(entry.path)
    return getattr(entry, f"is_{kind}")()

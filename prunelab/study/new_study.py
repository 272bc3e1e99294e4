"""A study folder: the series with its data and figures, for those who have no checkout."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

from prunelab import paths

PARTS = ("notebooks", "figures", "data/ledger", "data/checkpoints")
README = """\
# A study of neural-network pruning

`notebooks/` and `figures/` are as executed by the authors, from the measured rows in `data/ledger/`
and the trained networks in `data/checkpoints/`. `prunelab run` executes the series again; what it
writes is in `runs/`. The papers' printed tables come with the package.
"""
IGNORED = "runs/\ndata/cache/\ndata/ledger/*.lock\n.ipynb_checkpoints/\n"


def make(folder: str | Path) -> Path:
    """Copy notebooks, figures, ledger and checkpoints to a new folder.

    Args:
        folder: to make; it may exist if it is empty.

    Returns:
        Its absolute path. `prunelab run`, `list` and `report` work there and below.

    Raises:
        FileExistsError: there is something at `folder`. OSError: it cannot be written.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(
            f"new-study: `DIR` must be a new or an empty folder; got {str(folder)!r}"
        )
    source, unwanted = paths.shipped(), shutil.ignore_patterns(".*", "*.lock")
    for part in PARTS:
        shutil.copytree(
            source / part,
            folder / part,
            ignore=unwanted,
            copy_function=shutil.copyfile,  # not the modes: an installed package may be read-only
        )
    (folder / "README.md").write_text(README)
    (folder / ".gitignore").write_text(IGNORED)
    # Last, so that half a copy is no project.
    (folder / paths.MARKER).write_text(
        "# A study folder of prunelab: `prunelab run` works here and below.\n"
        f'made_by = "prunelab {version("prunelab")}"\n'
    )
    return folder.resolve()

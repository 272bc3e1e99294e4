"""Folders of the project, its runs and caches; the PRUNELAB_* variables; writing files whole.

A project is a checkout, or a study folder that `prunelab new-study` made. The core needs neither.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
MARKER = "prunelab.toml"  # in a study folder, beside notebooks/
PROGRESS = "PRUNELAB_PROGRESS"


def project(start: Path | None = None) -> Path:
    """The folder that holds notebooks, data and figures.

    It is `$PRUNELAB_PROJECT`; or else the first project at `start` (the current folder by default)
    or above it; or else the checkout that this package lies in.

    Raises:
        FileNotFoundError: none of these; one line that says how to make one.
    """
    named = os.environ.get("PRUNELAB_PROJECT")
    if named:
        folder = Path(named).expanduser().resolve()
        if not _is_project(folder):
            raise FileNotFoundError(
                f"project: `$PRUNELAB_PROJECT` must be a checkout or a study folder; got {named!r}"
            )
        return folder
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, PACKAGE.parent):
        if _is_project(folder):
            return folder
    raise FileNotFoundError(
        f"project: no notebooks at or above {here}; `prunelab new-study DIR` copies them to DIR"
    )


def _is_project(folder: Path) -> bool:
    checkout = (folder / "pyproject.toml").is_file() and (folder / "prunelab").is_dir()
    return (folder / "notebooks").is_dir() and (checkout or (folder / MARKER).is_file())


def shipped() -> Path:
    """What comes with the package, laid out like a project: the checkout, or a wheel's copy."""
    return PACKAGE.parent if _is_project(PACKAGE.parent) else PACKAGE / "_project"


def results() -> Path:
    """Where measured results are read: the project, or what comes with the package."""
    try:
        return project()
    except FileNotFoundError:
        return shipped()


def runs() -> Path:
    """Where a run writes: `$PRUNELAB_RUNS`, which `prunelab run` sets, or runs/ of the project."""
    named = os.environ.get("PRUNELAB_RUNS")
    return Path(named) if named is not None else project() / "runs"


def in_a_run() -> bool:
    """Whether `prunelab run` started this process: a run uses only what it measured itself."""
    return "PRUNELAB_RUNS" in os.environ


def writing() -> bool:
    """Whether the project's own outputs are being written: `prunelab run --write`."""
    return os.environ.get("PRUNELAB_WRITE") == "1"


def refresh_began() -> str | None:
    """When `prunelab run --refresh` began (ISO 8601, UTC); None without a refresh."""
    return os.environ.get("PRUNELAB_SINCE")


def device() -> str | None:
    """The device that `prunelab run` chose, if it did."""
    return os.environ.get("PRUNELAB_DEVICE")


def data_folder() -> str | None:
    """`$PRUNELAB_DATA`, a folder with data sets, if it is set."""
    return os.environ.get("PRUNELAB_DATA")


def offline() -> bool:
    """Whether $PRUNELAB_OFFLINE forbids downloads (set, and neither empty nor 0)."""
    return os.environ.get("PRUNELAB_OFFLINE", "") not in ("", "0")


def progress() -> str | None:
    """The file for signs of life that `prunelab run` watches, if it started this process."""
    return os.environ.get(PROGRESS)


def environment(**given: object) -> dict[str, str]:
    """The environment of this process with `PRUNELAB_<NAME>` for each name given; "" = without."""
    texts = {f"PRUNELAB_{name.upper()}": str(value) for name, value in given.items()}
    kept = {name: value for name, value in os.environ.items() if name not in texts}
    return kept | {name: value for name, value in texts.items() if value}


def cache_folder() -> Path:
    """The folder (absolute) for what can be downloaded or measured again.

    It is data/cache of the project; outside of any, prunelab in the user's own folder for caches
    (`$XDG_CACHE_HOME`, or ~/.cache).
    """
    try:
        return project() / "data" / "cache"
    except FileNotFoundError:
        home = Path(os.environ.get("XDG_CACHE_HOME") or "")
        return (home if home.is_absolute() else Path.home() / ".cache") / "prunelab"


def scans() -> Path:
    """Where scans are kept: `$PRUNELAB_CACHE`, or scans in the cache folder."""
    named = os.environ.get("PRUNELAB_CACHE")
    return Path(named) if named else cache_folder() / "scans"


@contextmanager
def whole(path: str | os.PathLike[str], caller: str) -> Iterator[Path]:
    """Yields a temporary path beside `path`; if the block succeeds, that file replaces `path`.

    The folder is made if it is missing. After an error nothing of the new file is left, and an
    older `path` is as it was.

    Args:
        path: the file to write.
        caller: the function that writes; errors name it.

    Raises:
        OSError: the file cannot be written; one line with the path, the reason and what to do.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(path.parent, glob.escape(path.name))
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # before the rename, or a power cut could leave an empty file
        os.replace(partial, path)
    except OSError as error:
        raise unwritable(caller, path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str, caller: str) -> None:
    """Write a text file: a reader sees the old file or the new one. Errors: as `whole`."""
    with whole(path, caller) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")


def made(folder: Path, caller: str) -> Path:
    """The folder itself, which is made if it is missing. Errors: as `whole`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(caller, folder, error) from None
    return folder


def unwritable(caller: str, path: str | os.PathLike[str], error: Exception) -> OSError:
    """An error with one line: which file could not be written, why, and what to do."""
    reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    return OSError(
        f"{caller}: cannot write `{path}` ({reason}); free some space, or name a folder that can be"
        " written"
    )


def clear(folder: Path, name: str = "*") -> None:
    """Remove partial files that killed processes left in `folder`, for names that match `name`."""
    for partial in folder.glob(f".{name}.*.part"):
        writer = partial.name.removesuffix(".part").rpartition(".")[2].partition("-")[0]
        if writer.isdigit() and not _runs(int(writer)):
            with suppress(OSError):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def _runs(pid: int) -> bool:
    """Whether a process is alive. On Windows always true: signal 0 would be Ctrl-C there."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs for another user
        return True
    return True


def short(path: Path) -> str:
    """Relative to the current directory if it is inside."""
    path = Path(path).resolve()
    here = Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

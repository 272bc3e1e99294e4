"""Files that appear whole or not at all, and what a killed process left of them."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def whole(path: str | os.PathLike, caller: str) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there replaces `path` if the block succeeds.

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


def unwritable(caller: str, path: str | os.PathLike, error: Exception) -> OSError:
    """The one line that says which file could not be written, why, and what to do."""
    reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    return OSError(
        f"{caller}: cannot write `{path}` ({reason}); free some space, or name a folder that can be"
        " written"
    )


def clear(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left of files whose names match `name` in `folder`."""
    for partial in folder.glob(f".{name}.*.part"):
        writer = partial.name.removesuffix(".part").rpartition(".")[2].partition("-")[0]
        if writer.isdigit() and not psutil.pid_exists(int(writer)):
            with suppress(OSError):
                partial.unlink()

"""JSON files of a run folder, which a kill or a full disk may have truncated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class DamagedError(ValueError):
    """A file is damaged; says which, and why."""


def read(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DamagedError: it is no whole JSON file.
        FileNotFoundError: there is none.
    """
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} is not there") from None
    except (ValueError, RecursionError):
        raise DamagedError(f"{path} is not JSON") from None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror or error})") from None

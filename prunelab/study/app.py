"""The explorer as an app: a notebook of one cell, served by Voila."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

SOURCE = """\
from prunelab import widgets

widgets.explorer()
"""


def serve(port: int, browser: bool = True) -> int:
    """Serve the explorer with recorded networks until it is interrupted; returns the exit code.

    Args:
        port: to listen on, 1 to 65535.
        browser: open the page.

    Raises:
        ValueError: `port` is none.
    """
    from prunelab.widgets.recorded import shipped

    if not 1 <= port <= 65535:
        raise ValueError(f"explore: `port` must be 1 to 65535, got {port}")
    shipped()  # says at once if there is nothing to show
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explorer.ipynb"
        nbformat.write(page(), path)
        print(f"explorer: http://localhost:{port} (end it with Ctrl-C)", flush=True)
        command = [sys.executable, "-m", "voila", str(path), f"--port={port}"]
        return subprocess.call(command + ([] if browser else ["--no-browser"]))


def page() -> nbformat.NotebookNode:
    """The notebook that is served."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [nbformat.v4.new_code_cell(SOURCE)]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})

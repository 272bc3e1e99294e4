"""The explorer as an app: a notebook of one cell, served by Voila.

Voila runs in a process of its own, whose stdin the command holds open. However the command ends, by
Ctrl-C, a closed terminal or kill -9, stdin ends, and Voila takes its kernels and itself away.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import nbformat

from prunelab.study.runner.worker import leave_with_the_parent

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
        OSError: it is in use, or may not be used.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"explore: `port` must be 1 to 65535, got {port}")
    _check_free(port)
    from prunelab.widgets.exploring.recorded import shipped

    shipped()  # says at once if there is nothing to show
    print(f"explorer: http://localhost:{port} (end it with Ctrl-C)", flush=True)
    command = [sys.executable, "-m", "prunelab.study.app", f"--port={port}"]
    command += [] if browser else ["--no-browser"]
    # In a session of its own: Ctrl-C reaches us alone, and the end of stdin reaches it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:  # leaving the context closes stdin, and waits
            return 0


def _check_free(port: int) -> None:
    """Voila would take another port, and say so only in its log."""
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("localhost", port))
        except OSError as error:
            raise OSError(
                f"explore: cannot listen on port {port} ({error.strerror}); name another, "
                "as in --port 8867"
            ) from None


def page() -> nbformat.NotebookNode:
    """The notebook that is served."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [nbformat.v4.new_code_cell(SOURCE)]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def main() -> None:
    """Serve the page until stdin ends; Voila's options are those of this process."""
    with tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=leave_with_the_parent, args=(folder,), daemon=True).start()
        path = Path(folder) / "explorer.ipynb"
        nbformat.write(page(), path)
        from voila.app import main as voila

        places = [str(path), f"--Voila.connection_dir_root={folder}", "--Voila.port_retries=0"]
        voila([*places, *sys.argv[1:]])


if __name__ == "__main__":
    main()

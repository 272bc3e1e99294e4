"""The explorer as an app: a notebook of one cell, served by Voila.

However the command ends, by Ctrl-C, a closed terminal or kill -9, its kernels end by themselves.
The page asks no other server for anything.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from unittest import mock

import nbformat

SOURCE = """\
from prunelab import widgets

widgets.explorer()
"""

# Voila's own page, but for links to a font that it asks another server for and brings itself.
TEMPLATE = """\
{%- extends 'voila/templates/lab/index.html.j2' -%}
{%- block notebook_css -%}
{{ resources.include_js("static/voila-style.js") }}
{{ spinner.css() }}
<style>.jp-mod-noOutputs.jp-mod-noInput { display: none; }</style>
{{ super.super() }}
{%- endblock notebook_css -%}
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
    import voila.app  # it takes a while

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explorer.ipynb"
        nbformat.write(page(), path)
        template = _put_template(folder)
        options = [f"--port={port}", "--Voila.port_retries=0", "--template=prunelab"]
        options += [f"--Voila.connection_dir_root={folder}"]
        with mock.patch.dict(os.environ, template):
            voila.app.main([str(path), *options, *([] if browser else ["--no-browser"])])
    return 0


def _put_template(folder: str) -> dict[str, str]:
    """The environment in which Voila finds it by name."""
    place = Path(folder, "voila", "templates", "prunelab")
    place.mkdir(parents=True)
    (place / "index.html.j2").write_text(TEMPLATE)
    (place / "conf.json").write_text(json.dumps({"base_template": "lab"}))
    others = os.environ.get("JUPYTER_PATH")
    return {"JUPYTER_PATH": os.pathsep.join([folder, others] if others else [folder])}


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

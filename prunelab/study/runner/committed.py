"""Executed notebooks as they are committed: with outputs, without traces of the run."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from typing import Any

from PIL import Image

from prunelab.study.runner.notebook import DROPPED_TAGS, tags_of, text_of

UP = "\x1b[A"  # what a bar within a bar ends with
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def committed(notebook: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """An executed notebook as it is committed: with outputs, without traces of the run.

    papermill's cell and metadata, timings, widget state, progress bars and machine paths go;
    execution counts become 1..n; pictures have 256 colours. So the same run gives the same file.

    Args:
        notebook: as executed.
        places: text to replace in outputs -> what to write instead (machine paths).
    """
    cells, count = [], 0
    for cell in notebook["cells"]:
        tags = tags_of(cell)
        if not DROPPED_TAGS.isdisjoint(tags):
            continue
        # Of an exercise: how it is graded, and that its solution is folded.
        kept = {k: v for k, v in cell["metadata"].items() if k in ("nbgrader", "jupyter")}
        cell = {**cell, "metadata": kept | ({"tags": tags} if tags else {})}
        if cell["cell_type"] == "code":
            ran = bool(text_of(cell["source"]).strip())
            count += ran
            cell["execution_count"] = count if ran else None
            outputs = (
                _without(output, places) for output in cell["outputs"] if not _is_bar(output)
            )
            cell["outputs"] = [_committed(output, count) for output in outputs]
        cells.append(cell)
    metadata = {k: v for k, v in notebook["metadata"].items() if k not in ("papermill", "widgets")}
    metadata["language_info"] = {"name": "python"}  # its version is this machine's
    return {**notebook, "cells": cells, "metadata": metadata}


def _committed(output: dict, count: int) -> dict:
    if "execution_count" in output:
        output["execution_count"] = count
    data = output.get("data", {})
    data.pop(WIDGET_VIEW, None)
    if "image/png" in data:
        data["image/png"] = _in_256_colours(data["image/png"])
    return output


def _in_256_colours(picture: str) -> str:
    """A base64 PNG with 256 colours: a third of the size, and plots look the same."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
    return base64.b64encode(small.getvalue()).decode()


def _without(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in places.items():
            value = value.replace(old, new)
        return re.sub(r"(/[^\s'\"]*)?/ipykernel_\d+/\d+\.py", "cell.py", value)
    if isinstance(value, Mapping):
        return {key: _without(entry, places) for key, entry in value.items()}
    return [_without(entry, places) for entry in value] if isinstance(value, list) else value


def _is_bar(output: Mapping) -> bool:
    text = text_of(output.get("text", "")) if output["output_type"] == "stream" else ""
    text = text.replace(UP, "")
    return output.get("name") == "stderr" and (not text.strip() or "\r" in text or "%|" in text)

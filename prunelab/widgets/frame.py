"""What all widgets share: a figure as bytes, and errors that are seen."""

from __future__ import annotations

import html
import io
from collections.abc import Callable

import ipywidgets as w
from matplotlib.figure import Figure


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def shown(handler: Callable, text: w.HTML) -> Callable:
    """The handler, with any error in the widget's text instead of nowhere."""

    def run(change: object) -> None:
        try:
            handler(change)
        except Exception as error:
            text.value = f"<b style='color:#D55E00'>error</b>: {html.escape(str(error))}"

    return run

"""What all widgets share: a figure as bytes, and errors that are seen."""

from __future__ import annotations

import base64
import gc
import html
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets as w
from matplotlib.figure import Figure

from prunelab import checks

NATURAL = {"max_width": "100%", "align_self": "flex-start"}  # a box stretches what it holds


class Pictured(w.VBox):
    """A box with a `picture`, which is also what readers without a kernel see."""

    def _repr_mimebundle_(self, **options: object) -> dict:
        picture = base64.b64encode(self.picture.value).decode()
        return (super()._repr_mimebundle_(**options) or {}) | {"image/png": picture}


@contextmanager
def short_lived() -> Iterator[None]:
    """What is made inside is garbage at the end, as a figure drawn to bytes is: collect it young.

    Left to itself it grows old, and after some forty pictures Python looks through all objects of
    the process, which takes a third of a second in the middle of somebody's move.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if enabled:
            gc.enable()


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes."""
    checks.kind("png", "fig", fig, Figure, "a Figure")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def shown(handler: Callable, text: w.HTML) -> Callable:
    """The handler, with any error in the widget's text instead of nowhere."""
    checks.kind("shown", "handler", handler, Callable, "a function")
    checks.kind("shown", "text", text, w.HTML, "an HTML widget")

    def run(change: object) -> None:
        try:
            handler(change)
        except Exception as error:
            text.value = f"<b style='color:#D55E00'>error</b>: {html.escape(str(error))}"

    return run

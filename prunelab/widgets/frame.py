"""What all widgets share: figures as bytes, text and picture that follow controls, errors shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence

import ipywidgets as w
from matplotlib.figure import Figure

from prunelab.widgets import words

NATURAL = {"max_width": "100%", "align_self": "flex-start"}  # a box stretches what it holds


class Pictured(w.VBox):
    """A box with a `picture`, which is also what readers without a kernel see."""

    def _repr_mimebundle_(self, **options: object) -> dict:
        picture = base64.b64encode(self.picture.value).decode()
        return (super()._repr_mimebundle_(**options) or {}) | {"image/png": picture}


def linked(
    controls: Sequence[w.Widget], draw: Callable[[], tuple[str, bytes]]
) -> tuple[w.HTML, w.Image]:
    """A text and a picture: what `draw()` gives now, and again whenever a control changes."""
    text, picture = w.HTML(), w.Image(format="png", layout=NATURAL)

    def redraw(_: object = None) -> None:
        text.value, picture.value = draw()

    for control in controls:
        control.observe(shown(redraw, text), "value")
    redraw()
    return text, picture


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def shown(handler: Callable, text: w.HTML) -> Callable:
    """The handler, with any error shown in the widget's text instead of lost."""

    def run(change: object) -> None:
        try:
            handler(change)
        except Exception as error:
            text.value = words.say("error", str(error))

    return run


def refusing(handler: Callable, line: w.HTML) -> Callable:
    """The handler, with what it refuses in a calm line, and any other error shown as one."""

    def run(*given: object) -> None:
        try:
            handler(*given)
        except (ValueError, OSError) as error:
            line.value = words.note(str(error).removeprefix("explorer: "))
        except Exception as error:
            line.value = words.say("error", str(error))

    return run

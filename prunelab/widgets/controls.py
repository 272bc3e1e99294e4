"""Controls of the explorer's longer tasks."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as w

from prunelab.widgets import words


def button(text: str, icon: str, width: str = "92px") -> w.Button:
    """A button with a text and an icon."""
    return w.Button(description=text, icon=icon, layout=w.Layout(width=width, flex="0 0 auto"))


class TaskControls(w.VBox):
    """A longer task: settings, a button, a progress bar, a stop button and a remark.

    Attributes:
        button: starts it.
        bar: the fraction done.
        stop: ends it early.
        note: the result, or why it cannot run.
    """

    def __init__(self, settings: Sequence[w.Widget], start: w.Button):
        self.settings, self.button = tuple(settings), start
        self.bar = w.FloatProgress(min=0, max=1, layout={"width": "150px", "display": "none"})
        self.stop = w.Button(
            icon="stop", tooltip="stop", layout={"width": "36px", "display": "none"}
        )
        self.note = w.HTML()
        row = w.HBox([*settings, start, self.bar, self.stop], layout={"align_items": "center"})
        super().__init__([row, self.note])

    def allow(self, why_not: str) -> None:
        """Enable it, or disable it and say why."""
        for control in (*self.settings, self.button):
            control.disabled, control.tooltip = bool(why_not), why_not or None
        if why_not:
            self.note.value = words.note(why_not)

    def advance(self, done: float) -> None:
        """Show the fraction done: a message for each percent, not for each step."""
        self.bar.value = round(done, 2)

    def working(self, yes: bool) -> None:
        """Show whether it is running."""
        self.button.disabled, self.bar.value = yes, 0
        self.bar.layout.display = self.stop.layout.display = None if yes else "none"


class ScanControls(TaskControls):
    """Scan every group on so many `images`."""

    HINT = "A scan prunes each group alone. It gives the curves that the solver works on."

    def __init__(self):
        self.images = w.BoundedIntText(
            min=1, max=1, description="images", style={"description_width": "54px"},
            layout=w.Layout(width="150px"),
        )  # fmt: skip
        super().__init__([self.images], button("Scan all groups", "line-chart", "150px"))
        self.note.value = words.note(self.HINT)

    def fit(self, images: int, usual: int) -> None:
        """Allow up to `images`; start from `usual`."""
        self.images.max, self.images.value = images, min(usual, images)


class FineTuneControls(TaskControls):
    """Train the network on show for so many `epochs`."""

    def __init__(self):
        self.epochs = w.BoundedIntText(
            value=1, min=1, max=1000, description="epochs", style={"description_width": "54px"},
            layout=w.Layout(width="130px"),
        )  # fmt: skip
        super().__init__([self.epochs], button("Fine-tune", "graduation-cap", "110px"))


class SaveControls(TaskControls):
    """Write the network on show to a file at `path`."""

    def __init__(self):
        style = {"description_width": "54px"}
        self.path = w.Text(value="pruned.safetensors", description="file", style=style)
        super().__init__([self.path], button("Save", "download"))

"""The parts of the explorer that are set: each a small box with named parts, and no logic."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as w

from prunelab.widgets import words

HIGHEST, STEP = 0.95, 0.05  # of the slider
CLOSEST = 0.99  # of the number
WIDE = {"width": "auto"}
LABEL = {
    "width": "58px",
    "display": "flex",
    "justify_content": "flex-end",
    "margin": "2px 6px 2px 0",
}


def groups() -> w.SelectMultiple:
    """The list of groups."""
    return w.SelectMultiple(rows=9, layout=WIDE, tooltip="Ctrl or Shift and click for several")


def slider() -> w.FloatSlider:
    """The ratio, to drag."""
    return w.FloatSlider(
        min=0, max=HIGHEST, step=STEP, description="remove", readout=False,
        style={"description_width": "54px"}, layout=w.Layout(flex="1 1 auto", width="auto"),
        tooltip="Fraction of the channels to remove from what is selected",
    )  # fmt: skip


def number() -> w.BoundedFloatText:
    """The ratio, to type."""
    return w.BoundedFloatText(
        min=0, max=CLOSEST, step=0.01, layout=w.Layout(width="74px"),
        tooltip="Any fraction from 0 to 0.99",
    )  # fmt: skip


def lock() -> w.ToggleButtons:
    """What moves together."""
    return w.ToggleButtons(
        options=[("selected", "group"), ("whole stage", "stage"), ("all", "all")],
        style={"button_width": "104px"},
        tooltips=["Only what is selected", "All groups with maps of the same size", "All groups"],
    )


def budget() -> w.IntSlider:
    """The MAC budget in percent of the whole network's."""
    return w.IntSlider(
        value=50, min=5, max=100, step=1, description="MAC budget (%)", layout=WIDE,
        continuous_update=False,  # the solver starts when the slider is released
        style={"description_width": "108px"},
    )  # fmt: skip


def preset() -> w.Dropdown:
    """Ready-made ratios."""
    return w.Dropdown(
        description="preset",
        style={"description_width": "54px"},
        layout=w.Layout(flex="1 1 80px", width="auto", min_width="0"),
    )


def button(text: str, icon: str, width: str = "92px") -> w.Button:
    """A button with words and a picture."""
    return w.Button(description=text, icon=icon, layout=w.Layout(width=width, flex="0 0 auto"))


def bar() -> w.FloatProgress:
    """A progress bar."""
    return w.FloatProgress(min=0, max=1, layout=w.Layout(width="150px", display="none"))


class TaskControls(w.VBox):
    """Something that takes a while: settings, a button, a bar, a stop and a remark.

    Attributes:
        button: starts it.
        bar: the fraction done.
        stop: ends it early.
        note: what came of it, or why it cannot be done.
    """

    def __init__(self, settings: Sequence[w.Widget], start: w.Button):
        self.settings, self.button, self.bar = tuple(settings), start, bar()
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
        """Show that it runs, or no longer does."""
        self.button.disabled, self.bar.value = yes, 0
        self.bar.layout.display = self.stop.layout.display = None if yes else "none"


class ScanControls(TaskControls):
    """Scan every group on so many `images`."""

    HINT = "A scan prunes each group alone: it gives the curves, and the solver what it works on."

    def __init__(self):
        self.images = w.BoundedIntText(
            min=1, max=1, description="images", style={"description_width": "54px"},
            layout=w.Layout(width="150px"),
        )  # fmt: skip
        super().__init__([self.images], button("Scan all groups", "line-chart", "150px"))
        self.note.value = words.note(self.HINT)

    def fit(self, images: int, usual: int) -> None:
        """Allow as many images as there are; start from so many as are usual."""
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


def code() -> w.Textarea:
    """Lines to copy."""
    return w.Textarea(disabled=False, rows=10, layout=WIDE)

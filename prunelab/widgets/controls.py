"""Controls of the explorer's longer tasks."""

from __future__ import annotations

import ipywidgets as w

from prunelab.widgets import words


def button(text: str, icon: str, width: str = "92px") -> w.Button:
    """A button with a text and an icon."""
    return w.Button(description=text, icon=icon, layout=w.Layout(width=width, flex="0 0 auto"))


class TaskControls(w.VBox):
    """A longer task: a setting, a button, a progress bar, a stop button and a remark.

    Args:
        name: of the attribute that is the setting.
        setting: a control.
        start: the button.

    Attributes:
        button: starts it.
        bar: the fraction done.
        stop: ends it early.
        note: the result, or why it cannot run.
    """

    def __init__(self, name: str, setting: w.Widget, start: w.Button):
        setattr(self, name, setting)
        self.setting, self.button, self.note = setting, start, w.HTML()
        self.bar = w.FloatProgress(min=0, max=1, layout={"width": "150px", "display": "none"})
        self.stop = w.Button(
            icon="stop", tooltip="stop", layout={"width": "36px", "display": "none"}
        )
        row = w.HBox([setting, start, self.bar, self.stop], layout={"align_items": "center"})
        super().__init__([row, self.note])

    def allow(self, why_not: str) -> None:
        """Enable it, or disable it and say why."""
        for control in (self.setting, self.button):
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

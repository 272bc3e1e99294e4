"""Inside a group: its channels as pictures, their scores, the classes they serve."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence

import ipywidgets as w
import numpy as np
from matplotlib.image import imsave

from prunelab.widgets import words
from prunelab.widgets.channels import Channels, strip
from prunelab.widgets.controls import TaskControls, button
from prunelab.widgets.exploring.looking import CRITERIA
from prunelab.widgets.exploring.worker import Newest, Stop, StoppedError
from prunelab.widgets.frame import refusing
from prunelab.widgets.source import Ratios, Source

COLOURS = dict(
    zip(CRITERIA, ("#0072B2", "#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#767676"))
)  # Okabe and Ito
ONE = "Select one group: its channels appear here, and a click on one removes it."
STILL = (
    "The weights that write each channel. Bars: how many of the group's channels it is above, by"
    " each criterion. Marked: what this ratio removes. A recording has no images: for maps, classes"
    " and a choice by hand, call prunelab.widgets.explorer(net, data)."
)
NO_WEIGHTS = (
    "This recording holds measured accuracies and not the network. To see its filters, maps and"
    " scores, call prunelab.widgets.explorer(net, data)."
)
LOSES = (
    " In each tile: the class that loses most if that channel alone goes, in points of its own"
    " accuracy."
)
WHAT = (
    "Left: the weights that write a channel. Right: its answer to the photo. Bars: how many of the"
    " group's channels it is above, by each criterion. A click removes the channel or brings it"
    " back, and the network answers."
)


class Inside(w.VBox):
    """The channels of one group.

    Args:
        line: where it says what is refused.

    Attributes:
        picked: called with a group and the channels that are removed, after a click.
        task: photo, the number of the photo that the maps answer to; and a button that asks which
            classes lose with each channel.
        thumbnail: the photo.
        grid: the channels.
        group: what is shown; empty if nothing is.
    """

    def __init__(self, line: w.HTML):
        self.photo = w.BoundedIntText(
            min=0, max=0, description="photo", style={"description_width": "44px"},
            layout={"width": "120px"},
        )  # fmt: skip
        start = button("Which classes lose?", "question", "168px")
        self.task = TaskControls("photo", self.photo, start)
        self.thumbnail = w.Image(format="png", layout={"width": "64px", "height": "64px"})
        self.grid, self.note, self.group = Channels(), w.HTML(words.note(ONE)), ""
        self.looker, self._line = Newest(), line
        self.picked: Callable[[str, tuple[int, ...]], None] = lambda *_: None
        self._hush = threading.local()
        self.photo.observe(refusing(lambda _: self._look(), line), "value")
        self.grid.observe(refusing(self._clicked, line), "removed")
        self.task.button.on_click(refusing(lambda _: self.group and self._classes(), line))
        self.task.stop.on_click(lambda _: self.looker.cancel())
        self.head = w.HBox([self.thumbnail, self.task], layout={"align_items": "center"})
        self.parts = w.VBox([self.head, self.grid], layout={"display": "none"})
        super().__init__([self.note, self.parts])

    def show(self, source: Source, selected: Sequence[str], ratios: Ratios) -> None:
        """Show the only group that is selected, as the network at these ratios has it."""
        before, self._source = (self.group, getattr(self, "_source", None)), source
        group = selected[0] if len(selected) == 1 and source.inside else ""
        self.parts.layout.display = None if group else "none"
        if not group:
            self.note.value = words.note(ONE if source.inside else NO_WEIGHTS)
        self.group = group
        if group:
            self.head.layout.display = None if source.inside.photos else "none"
            self.grid.fixed = not source.inside.photos
            self._hush.on = True
            self.grid.removed = source.removed(group, ratios)
            self._hush.on = False
        if group and (group, source) != before:
            self.photo.max = max(0, source.inside.photos - 1)
            self._look()

    def _look(self) -> None:
        source, group, photo = self._source, self.group, self.photo.value

        def job(stop: Stop) -> None:
            with self.grid.hold_sync():
                found = source.inside.look(group, photo)
                if stop() or group != self.group:
                    return
                self.thumbnail.value = b"" if found.photo is None else _png(found.photo)
                self.grid.size = source.sizes[group]
                self.grid.filters = strip(found.filters)
                self.grid.maps = {} if found.maps is None else strip(found.maps)
                self.grid.scores, self.grid.colours = found.ranks, COLOURS
                self._say_classes(found.said)

        self.looker.submit(refusing(job, self._line))

    def _classes(self) -> None:
        source, group = self._source, self.group
        self.task.working(True)

        def job(stop: Stop) -> None:
            def advance(done: float) -> None:
                if stop():
                    raise StoppedError
                self.task.advance(done)

            try:
                said = source.inside.classes(group, advance)
                if group == self.group:
                    self._say_classes(said)
            except StoppedError:
                pass
            finally:
                self.task.working(False)

        self.looker.submit(refusing(job, self._line))

    def _say_classes(self, said: tuple[list[str], list[str]] | None) -> None:
        """In the tiles, and what it means in the line above."""
        self.grid.notes, self.grid.details = said or ([], [])
        what = WHAT if self._source.inside.photos else STILL
        self.note.value = words.note(what + (LOSES if said else ""))

    def _clicked(self, change: dict) -> None:
        if self.group and not getattr(self._hush, "on", False):
            self.picked(self.group, tuple(change["new"]))


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    imsave(buffer, picture, format="png")
    return buffer.getvalue()

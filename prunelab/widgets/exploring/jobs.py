"""What the explorer's longer buttons do: scan, fine-tune, save."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prunelab import surgery
from prunelab.widgets.exploring import words
from prunelab.widgets.exploring.live import StoppedError
from prunelab.widgets.frame import shown

if TYPE_CHECKING:
    from prunelab.widgets.exploring.explorer import Explorer

Stop = Callable[[], bool]


def scan(explorer: Explorer) -> None:
    """Scan in the background; then there are curves, and the solver."""
    source, part = explorer.source, explorer.scan

    def step(done: float) -> None:
        part.bar.value = round(done, 2)  # a message for each percent, not for each step

    def job(stop: Stop) -> None:
        try:
            source.scan(part.images.value, step, stop)
        except StoppedError:
            part.note.value = words.note("Stopped: the next scan goes on from there.")
            return
        if not stop():
            images = source.curves.attrs["whole"]["images"]
            part.note.value = words.note(f"Curves of {images:,} images, each group alone.")
            explorer.has_curves()

    _start(explorer, part, job)


def finetune(explorer: Explorer) -> None:
    """Train the network on show in the background; what stops half-way changes nothing."""
    source, part, ratios = explorer.source, explorer.finetune, dict(explorer.ratios)

    def step(done: float) -> None:
        part.bar.value = round(done, 2)

    def job(stop: Stop) -> None:
        try:
            source.finetune(ratios, part.epochs.value, step, stop)
        except StoppedError:
            part.note.value = words.note("Stopped: the network is as it was before.")
            return
        part.note.value = words.note("Done. It is shown, saved and copied with its fine-tuning.")
        explorer.tuned(ratios)

    _start(explorer, part, job)


def _start(explorer: Explorer, part, job: Callable[[Stop], None]) -> None:
    """One thing at a time: the buttons of both tasks wait."""
    parts = (explorer.scan, explorer.finetune)

    def guarded(stop: Stop) -> None:
        try:
            shown(job, explorer.text)(stop)
        finally:
            part.working(False)
            explorer.allow()

    for other in parts:
        other.button.disabled = True
    part.working(True)
    explorer.background.submit(guarded)


def save(explorer: Explorer) -> None:
    """Write the network on show, and say how to read it."""
    path = Path(explorer.save.path.value).expanduser()
    small, keep = explorer.source.network(explorer.ratios)
    surgery.save(small, keep, path)
    size = path.stat().st_size / 1e6
    explorer.save.note.value = (
        f"Saved {size:.2f} MB to <code>{html.escape(str(path))}</code>. Read it with "
        f"<code>prunelab.surgery.load(net, {html.escape(repr(str(path)))})</code>, where "
        "<code>net</code> is the whole network."
    )

"""A mask that fills and heals while a network trains: a slider over snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as w
import numpy as np

from prunelab import checks, plots
from prunelab.masks import unpacked
from prunelab.plots.given import image
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png


def mask_player(
    snapshots: Sequence[Mapping], title: str = "fc1", *, pixels: bool = True, start: int = 0
) -> Pictured:
    """Drag or play through the recorded masks of one layer.

    Args:
        snapshots: dicts with step and kept, in order of steps; kept is a (units, inputs) bool
            array or tensor, or what `masks.packed` made of it.
        title: says which layer.
        pixels: also draw the kept connections of each input pixel, if the inputs are a square.
        start: which snapshot is shown first; -1 = the last.

    Returns:
        A box whose `slider`, `play`, `text` and `picture` are its parts.

    Raises:
        ValueError: there are no snapshots, their steps do not ascend, or their shapes differ.
    """
    snapshots = checks.rows("mask_player", "snapshots", snapshots, ("step", "kept"))
    steps = [snapshot["step"] for snapshot in snapshots]
    masks = [_mask(snapshot["kept"]) for snapshot in snapshots]
    _check(steps, masks)
    there = checks.is_count(start, -len(steps)) and start < len(steps)
    checks.need(there, "mask_player", "start", f"a place among {len(steps)} snapshots", start)
    most, frames = _most(masks), {}
    slider = w.SelectionSlider(
        options=[(f"{step:,}", i) for i, step in enumerate(steps)], index=start % len(steps),
        description="step", layout={"width": "480px", "max_width": "100%"},
    )  # fmt: skip
    play = w.Play(value=slider.index, min=0, max=len(steps) - 1, step=1, interval=600)
    # The browser moves the slider while it plays; without a kernel nothing moves.
    link = w.jslink((play, "value"), (slider, "index"))

    def draw() -> tuple[str, bytes]:
        at = slider.index
        if at not in frames:
            fig = plots.mask_image(masks[at], steps[at], title, pixels=pixels, most=most)
            frames[at] = png(fig)
        return _sentence(steps, masks, at), frames[at]

    text, picture = linked([slider], draw)
    box = Pictured([w.HBox([play, slider]), text, picture])
    box.slider, box.play, box.text, box.picture = slider, play, text, picture
    box.link = link
    return box


def _mask(kept: object) -> np.ndarray:
    kept = unpacked(kept) if isinstance(kept, Mapping) else kept
    return image("mask_player", "snapshots", kept, bool, deep=True)


def _check(steps: list[int], masks: list[np.ndarray]) -> None:
    if not steps:
        raise ValueError("mask_player: `snapshots` is empty; record some masks first")
    for step in steps:
        whole = checks.is_count(step, -(2**63))
        checks.need(whole, "mask_player", "snapshots", "dicts with an integer step", step)
    if any(b <= a for a, b in zip(steps, steps[1:])):
        raise ValueError(f"mask_player: the steps of `snapshots` must ascend, got {steps}")
    shapes = sorted({mask.shape for mask in masks})
    if len(shapes) > 1:
        raise ValueError(f"mask_player: `snapshots` must have one shape, got {shapes}")


def _most(masks: list[np.ndarray]) -> int:
    """Kept connections of the fullest input, the scale of all pictures; full masks do not count."""
    return max((int(mask.sum(0).max()) for mask in masks if not mask.all()), default=len(masks[0]))


def _sentence(steps: list[int], masks: list[np.ndarray], at: int) -> str:
    mask, since = masks[at], None
    if at:
        before = masks[at - 1]
        since = (steps[at - 1], (mask & ~before).sum(), (before & ~mask).sum())
    return words.say("snapshot", steps[at], int(mask.sum()), mask.size, since)

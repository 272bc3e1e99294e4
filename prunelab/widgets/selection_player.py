"""Channels chosen one after another: a slider over the recorded steps of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure

from prunelab import checks, pictures, plots
from prunelab.plots.given import image, text
from prunelab.plots.selection import check_channels
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png

CALLER = "selection_player"
NEEDED = ("order", "losses", "scores", "kept", "maps")


def selection_player(
    row: Mapping, title: str = "", *, layer: str | None = None, step: int = 1
) -> Pictured:
    """Pick a layer, and drag or play through the greedy choice of its channels.

    Args:
        row: what the task `Selections` records: a ledger row, or its values.
        title: says which network.
        layer: the layer shown first; None = the first one.
        step: the step shown first, from 1.

    Returns:
        A box whose `layer`, `slider`, `play`, `text` and `picture` are its parts.

    Raises:
        ValueError: nothing was chosen in `row`, an entry of it lacks or does not fit the others,
            or there is no such layer or step.
    """
    found = _found(row, title)
    first = _start(found, layer, step)
    chooser = w.Dropdown(options=list(found), value=first, description="layer")
    most = {"min": 1, "max": len(found[first].order)}
    slider = w.IntSlider(value=step, **most, description="step",
                         layout={"width": "420px", "max_width": "100%"})  # fmt: skip
    play = w.Play(value=step, **most, step=1, interval=700)
    # The browser moves the slider while it plays; without a kernel nothing moves.
    link = w.jslink((play, "value"), (slider, "value"))
    frames: dict[tuple[str, int], bytes] = {}

    def draw() -> tuple[str, bytes]:
        at = chooser.value, slider.value
        if at not in frames:
            frames[at] = png(_figure(found, *at, title))
        return _sentence(found[at[0]], at[1]), frames[at]

    def begin(_: object) -> None:
        steps = len(found[chooser.value].order)
        slider.value = play.value = 1
        slider.max = play.max = steps

    chooser.observe(begin, "value")
    said, picture = linked([chooser, slider], draw)
    box = Pictured([w.HBox([chooser, play, slider]), said, picture])
    box.layer, box.slider, box.play, box.text, box.picture = chooser, slider, play, said, picture
    box.link = link
    return box


def selection_figure(
    row: Mapping, title: str = "", *, layer: str | None = None, step: int = 1
) -> Figure:
    """The picture that `selection_player` starts with; arguments and errors are the same."""
    found = _found(row, title)
    return _figure(found, _start(found, layer, step), step, title)


@dataclass(frozen=True)
class _Choice:
    """What was recorded of a layer; attributes as the arguments of `plots.selection_step`."""

    order: list[int]
    scores: np.ndarray
    losses: np.ndarray
    maps: np.ndarray
    kept: dict[str, list[int]]


def _found(row: object, title: object) -> dict[str, _Choice]:
    """Layer -> what was recorded; layers without a choice are left out."""
    text(CALLER, title)
    checks.kind(CALLER, "row", row, Mapping, "a ledger row or its values")
    layers = row.get("values", row)
    layers = layers.get("layers") if isinstance(layers, Mapping) else None
    listed = isinstance(layers, Mapping) and all(isinstance(v, Mapping) for v in layers.values())
    checks.need(listed, CALLER, "row", "a row of the task `Selections`, with `layers`", row)
    found = {name: _choice(name, layer) for name, layer in layers.items()}
    found = {name: choice for name, choice in found.items() if choice.order}
    if not found:
        raise ValueError(f"{CALLER}: no layer of `row` has a choice to step through")
    return found


def _choice(name: str, layer: Mapping) -> _Choice:
    if lacking := [key for key in NEEDED if key not in layer]:
        raise ValueError(f"{CALLER}: layer `{name}` of `row` lacks {', '.join(lacking)}")
    order, kept = layer["order"], layer["kept"]
    checks.need(isinstance(order, list), CALLER, f"row: order of {name}", "a list", order)
    if not order:
        return _Choice([], *[np.zeros(0)] * 3, {})
    checks.kind(CALLER, f"row: kept of {name}", kept, Mapping, "a mapping, method -> channels")
    tables = {key: image(CALLER, f"row: {key} of {name}", layer[key], float)
              for key in ("scores", "losses")}  # fmt: skip
    try:
        maps = pictures.unpack(layer["maps"])
    except ValueError as error:
        raise ValueError(f"{CALLER}: maps of layer `{name}` of `row`: {error}") from error
    size = tables["scores"].shape[1]
    for what, channels in {"order": order, **kept}.items():
        check_channels(CALLER, f"row: {what} of {name}", channels, size)
    for what, (rows, needed) in {
        "scores": (len(tables["scores"]), len(order)),
        "losses": (len(tables["losses"]), len(order) + 1),
        "maps": (len(maps), size),
    }.items():
        if rows != needed:
            raise ValueError(
                f"{CALLER}: `{what}` of layer `{name}` must have {needed} entries, for"
                f" {len(order)} steps of one channel each and {size} channels; got {rows}"
            )
    return _Choice(order, tables["scores"], tables["losses"], maps, dict(kept))


def _start(found: Mapping[str, _Choice], layer: str | None, step: int) -> str:
    """The layer shown first."""
    layer = next(iter(found)) if layer is None else layer
    checks.word(CALLER, "layer", layer, list(found))
    most = len(found[layer].order)
    there = checks.is_count(step) and step <= most
    checks.need(there, CALLER, "step", f"an integer in 1 to {most}", step)
    return layer


def _figure(found: Mapping[str, _Choice], layer: str, step: int, title: str) -> Figure:
    name = f"{layer}, step {step} of {len(found[layer].order)}"
    return plots.selection_step(
        **vars(found[layer]), step=step, title=f"{title}: {name}" if title else name
    )


def _sentence(choice: _Choice, step: int) -> str:
    """What comes in, what that does to the losses, and who keeps this channel."""
    channel = choice.order[step - 1]
    falls = [
        (name, f"{before:.3g}", f"{after:.3g}")
        for name, before, after in zip(("L_M", "L_S"), choice.losses[step - 1], choice.losses[step])
    ]
    others = {name: channel in kept for name, kept in choice.kept.items() if name != "DCP"}
    return words.say("choice", step, len(choice.order), channel, falls, others)

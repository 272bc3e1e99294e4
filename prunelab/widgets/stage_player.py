"""Stages of a run: a slider through the training, layer after layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as w
from matplotlib.figure import Figure

from prunelab import checks, plots
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png

KEYS = ("name", "threshold", "edges", "moments")
MOMENT = ("stage", "epoch", "places")


def stage_player(runs: Sequence[Mapping], title: str = "") -> Pictured:
    """Drag or play through recorded runs, moment by moment.

    Args:
        runs: dicts with
            name: of the run, on the list;
            threshold, edges: as `plots.noise_step` takes them;
            moments: dicts in order of time, with stage (its name), epoch (done), and places as
                `plots.noise_step` takes them.
        title: says which network.

    Returns:
        A box whose `run`, `slider`, `play`, `text` and `picture` are its parts.

    Raises:
        ValueError: there are no runs, or one has no moments or lacks a key.
    """
    found = _found(runs)
    run = w.Dropdown(options=list(found), description="run", layout={"width": "360px"})
    last = max(len(one["moments"]) for one in found.values()) - 1
    slider = w.IntSlider(
        max=len(found[run.value]["moments"]) - 1, description="moment", readout=False,
        layout={"width": "420px", "max_width": "100%"},
    )  # fmt: skip
    play = w.Play(max=last, interval=700)
    link = w.jslink((play, "value"), (slider, "value"))

    def draw() -> tuple[str, bytes]:
        one = found[run.value]
        slider.max = len(one["moments"]) - 1
        moment = one["moments"][slider.value]
        cells = [
            [name, place["phase"], f"{place['left']:,}", f"{place['size']:,}"]
            for name, place in moment["places"].items()
        ]
        table = words.say("table", ["layer", "state", "channels left", "of"], cells)
        return table, png(_figure(one, slider.value, title))

    text, picture = linked([run, slider], draw)
    box = Pictured([w.HBox([run]), w.HBox([play, slider]), text, picture])
    box.run, box.slider, box.play, box.text, box.picture = run, slider, play, text, picture
    box.link = link
    return box


def stage_figure(runs: Sequence[Mapping], title: str = "", moment: int = 0) -> Figure:
    """One moment of the first run, counted from the end if negative; errors as `stage_player`."""
    (one, *_) = _found(runs).values()
    size = len(one["moments"])
    there = checks.is_count(moment, -size) and moment < size
    checks.need(there, "stage_figure", "moment", f"one of {size} moments", moment)
    return _figure(one, moment, title)


def _found(runs: Sequence[Mapping]) -> dict[str, Mapping]:
    """Name -> run."""
    found = {run["name"]: run for run in checks.rows("stage_player", "runs", runs, KEYS)}
    if not found:
        raise ValueError("stage_player: `runs` is empty; measure some first")
    for run in found.values():
        if not checks.rows("stage_player", "moments", run["moments"], MOMENT):
            raise ValueError(f"stage_player: `runs` has no moments in {run['name']!r}")
    return found


def _figure(run: Mapping, at: int, title: str) -> Figure:
    moment = run["moments"][at]
    when = f"{run['name']}: stage {moment['stage']}, epoch {moment['epoch']:g}"
    name = f"{title}\n{when}" if title else when
    return plots.noise_step(moment["places"], run["threshold"], run["edges"], name)

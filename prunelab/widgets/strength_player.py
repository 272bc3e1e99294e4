"""One network at increasing strengths: a slider over recorded runs, and what each leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure

from prunelab import checks, plots
from prunelab.masks import unpacked
from prunelab.plots.given import text
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png

KEYS = (
    "kl", "seed", "widths", "whole", "weights_pct", "activations_pct", "macs", "error",
    "best_error", "pixels",
)  # fmt: skip
COLUMNS = {  # of the table: head, and how a value is written
    "weights_pct": ("weights left", lambda v: f"{v:.2f}%"),
    "activations_pct": ("activations left", lambda v: f"{v:.2f}%"),
    "macs": ("MACs", lambda v: f"{v:,.0f}"),
    "error": ("error, last", lambda v: f"{100 * v:.2f}%"),
    "best_error": ("error, best", lambda v: f"{100 * v:.2f}%"),
}


def strength_player(
    runs: Sequence[Mapping],
    title: str = "",
    *,
    kl: float | None = None,
    printed: Mapping | None = None,
    mean_image: np.ndarray | None = None,
) -> Pictured:
    """Drag through the strengths that one network was trained with.

    Args:
        runs: dicts, in any order, with
            kl: the strength, >= 0;
            seed: of the run;
            widths: place -> units left;
            whole: place -> units before, the same in all runs, in order from the input;
            weights_pct, activations_pct: what is left, in percent of the whole network;
            macs: multiply-accumulates of one image;
            error, best_error: test errors (fractions), the last and the best;
            pixels: (H, W) bool mask of the inputs left, what `masks.packed` made of it, or None.
        title: says which network.
        kl: the strength shown first; None = the middle one.
        printed: the authors' values, any of widths, weights_pct, activations_pct, macs, error and
            best_error, as in a run.
        mean_image: (H, W), drawn faintly below the pixels.

    Returns:
        A box whose `slider`, `seed` (on show if there are several), `text` and `picture` are its
        parts.

    Raises:
        ValueError: there are no runs, one lacks a key or comes twice, `kl` is none of theirs, or
            `printed` has other keys.
    """
    found, printed = _found(runs), _printed(printed)
    start = _start(found, kl)
    slider = w.SelectionSlider(
        options=[(f"{value:g}", value) for value in sorted({value for value, _ in found})],
        value=start[0], description="kl", layout={"width": "420px", "max_width": "100%"},
    )  # fmt: skip
    seeds = sorted({seed for _, seed in found})
    seed = w.Dropdown(options=seeds, value=start[1], description="seed", layout={"width": "160px"})

    def draw() -> tuple[str, bytes]:
        key = (slider.value, seed.value)
        if key not in found:
            return _not_run(found, *key), png(plots.not_measured(_name(*key)))
        fig = _figure(found[key], title, printed, mean_image)
        return _table(found[key], printed), png(fig)

    text, picture = linked([slider, seed], draw)
    controls = [slider, seed] if len(seeds) > 1 else [slider]
    box = Pictured([w.HBox(controls), text, picture])
    box.slider, box.seed, box.text, box.picture = slider, seed, text, picture
    return box


def strength_figure(
    runs: Sequence[Mapping],
    title: str = "",
    *,
    kl: float | None = None,
    printed: Mapping | None = None,
    mean_image: np.ndarray | None = None,
) -> Figure:
    """The picture that `strength_player` starts with; arguments and errors are the same."""
    found = _found(runs)
    return _figure(found[_start(found, kl)], title, _printed(printed), mean_image)


def _found(runs: Sequence[Mapping]) -> dict[tuple[float, int], Mapping]:
    """(kl, seed) -> run."""
    found = {}
    for run in checks.rows("strength_player", "runs", runs, KEYS):
        key = (run["kl"], run["seed"])
        if key in found:
            raise ValueError(f"strength_player: `runs` has {_name(*key)} twice")
        found[key] = run
    if not found:
        raise ValueError("strength_player: `runs` is empty; measure some strengths first")
    return found


def _printed(printed: Mapping | None) -> Mapping:
    known, printed = ("widths", *COLUMNS), {} if printed is None else printed
    checks.kind("strength_player", "printed", printed, Mapping, "a mapping or None")
    for key in printed.keys() - set(known):
        raise ValueError(f"strength_player: `printed` can have {', '.join(known)}, got {key!r}")
    return printed


def _start(found: Mapping, kl: float | None) -> tuple[float, int]:
    """The run shown first: of the strength asked for or the middle one, the first seed."""
    values = sorted({value for value, _ in found})
    if kl is None:
        kl = values[len(values) // 2]
    known = checks.is_number(kl) and kl in values
    allowed = f"one of {', '.join(f'{v:g}' for v in values)}"
    checks.need(known, "strength_player", "kl", allowed, kl)
    return min(key for key in found if key[0] == kl)


def _name(kl: float, seed: int) -> str:
    return f"kl {kl:g}, seed {seed}"


def _figure(run: Mapping, title: str, printed: Mapping, mean_image: np.ndarray | None) -> Figure:
    left = f"{run['weights_pct']:.2f}% of the weights, test error {100 * run['error']:.2f}%"
    name = f"{_name(run['kl'], run['seed'])}: {left}"
    text("strength_player", title)
    kept = run["pixels"]
    mask = unpacked(kept) if isinstance(kept, Mapping) else kept
    return plots.units_left(
        run["widths"], run["whole"], f"{title}\n{name}" if title else name,
        mask=mask, mean_image=mean_image, printed=printed.get("widths"),
    )  # fmt: skip


def _table(run: Mapping, printed: Mapping) -> str:
    """What the run leaves, above the authors' printed values."""
    rows = {_name(run["kl"], run["seed"]): run}
    if any(key in printed for key in COLUMNS):
        rows["printed"] = printed
    cells = [
        [name, *(form(row[key]) if key in row else "" for key, (_, form) in COLUMNS.items())]
        for name, row in rows.items()
    ]
    return words.say("table", ["run", *(head for head, _ in COLUMNS.values())], cells)


def _not_run(found: Mapping, kl: float, seed: int) -> str:
    there = ", ".join(f"{value:g}" for value, of in sorted(found) if of == seed)
    return f"{_name(kl, seed)} was not run; with seed {seed} there are kl {there}"

"""The explorer as one page that needs no kernel and no network: curves, map, sliders, budget.

Everything is computed here and embedded: what a setting of a slider keeps, what it changes, which
combinations were measured. The page adds up and looks up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from prunelab import checks, paths, ratios
from prunelab.plots.network_look import colours
from prunelab.widgets.curves import drawn
from prunelab.widgets.exploring.recorded import NEEDED, Recorded, shipped
from prunelab.widgets.network_map import NetworkMap
from prunelab.widgets.source import Answer

HERE = Path(__file__).parent
WIDGETS = HERE.parents[1] / "widgets"
PARTS = ("network_map", "curves")  # widgets whose browser's half the page takes
WIDTH = 1180  # of the map, in pixels
STEPS = tuple(n / 20 for n in range(20))  # of a slider: 0, 5, ..., 95%


def write(path: str | Path, recordings: Sequence[Mapping] | None = None) -> Path:
    """Write the page.

    Args:
        path: of the file, which ends in .html.
        recordings: as `widgets.explorer(recorded=)` takes them; None = those that come with the
            package.

    Returns:
        Its absolute path.

    Raises:
        TypeError: `path` is no path.
        ValueError: it does not end in .html, or a recording lacks something.
        OSError: it cannot be written.
    """
    path = checks.path("explore", "html", path)
    checks.need(path.suffix == ".html", "explore", "html", "a file that ends in .html", str(path))
    networks = [embedded(one) for one in (shipped() if recordings is None else recordings)]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # groups keep their order
    scripts = [(WIDGETS / f"{name}.js").read_text() for name in PARTS]
    scripts = [re.sub(r"^export default .*$", "", script, flags=re.MULTILINE) for script in scripts]
    page = environment.get_template("explorer.html").render(
        networks=networks,
        style=Markup("".join((WIDGETS / f"{name}.css").read_text() for name in PARTS)),
        code=Markup("".join(scripts) + (HERE / "explorer.js").read_text()),
    )
    paths.write_text(path, page, "explore")
    return path.resolve()


def embedded(recording: Mapping) -> dict[str, Any]:
    """What the page needs of a recording.

    Returns:
        title, made, whole; price: [[groups, coefficient], ...] of params and of macs; groups: name
        -> size, colour and options (ratio, kept, change of accuracy and its margin, whether it was
        measured, channels that stay of each width of a row); presets: label -> ratios; known: kept
        counts as text -> accuracy, low, high; adding: the margin of several groups, as `Margins`
        has it; curves: what `Curves` draws; map: what `NetworkMap` draws; rows.

    Raises:
        ValueError: the recording lacks something.
    """
    lacking = [name for name in NEEDED if name not in recording]
    checks.need(not lacking, "explore", "recordings", f"with {', '.join(NEEDED)}", lacking)
    source, rows = Recorded(recording), recording["rows"]
    scan = source.curves
    combinations = recording.get("combinations", [])
    whole, sizes = recording["whole"], recording["price"]["sizes"]
    palette, pictured = colours(rows), NetworkMap(rows, width=WIDTH)
    groups = {
        name: {"size": size, "colour": palette[name], "options": _options(name, recording, source)}
        for name, size in sizes.items()
    }
    plans = [{}, *({p["group"]: p["ratio"]} for p in recording["points"])]
    plans += [row["ratios"] for row in combinations]
    known = {_key(groups, plan): _seen(source.known(plan)) for plan in plans}
    return {
        "title": recording["title"],
        "made": recording.get("made", ""),
        "whole": {name: whole[name] for name in ("accuracy", "params", "macs")},
        "price": {name: recording["price"][name] for name in ("params", "macs")},
        "groups": groups,
        "presets": {row["label"]: row["ratios"] for row in combinations},
        "known": known,
        "adding": {"factor": source.margins.adding, "half": source.margins.half},
        "curves": drawn(scan, palette),
        "map": {"svg": pictured.svg, "boxes": pictured.boxes},
        "rows": [
            {"name": r["name"], "all": pictured.kept[r["name"]][1], "channels": r["channels"]}
            for r in rows
        ],
    }


def _options(name: str, recording: Mapping, source: Recorded) -> list[dict[str, Any]]:
    """The settings of a group's slider: a grid, what was scanned, and what presets have."""
    scan = source.curves
    own = scan[(scan.group == name) & (scan.ratio > 0)].sort_values("ratio")
    measured = {0.0: recording["whole"]["accuracy"]} | dict(zip(own.ratio, own.accuracy))
    presets = {row["ratios"].get(name, 0.0) for row in recording.get("combinations", [])}
    size = recording["price"]["sizes"][name]
    widths = {row["channels"][name] for row in recording["rows"] if name in row["channels"]}
    last = max(measured)
    grid = sorted({*STEPS, *measured, *presets} - {r for r in STEPS if r > last})
    found = []
    for ratio in grid:
        accuracy = float(np.interp(ratio, [*measured], [*measured.values()]))
        found.append(
            {
                "ratio": ratio,
                "kept": ratios.kept(size, ratio),
                "change": accuracy - recording["whole"]["accuracy"],
                "margin": source.margins.of(name, ratio),
                "measured": ratio in measured,
                "stay": {str(n): ratios.kept(n, ratio) for n in sorted(widths)},
            }
        )
    return found


def _key(groups: Mapping, plan: Mapping[str, float]) -> str:
    """Kept counts of all groups: equal widths are the same network."""
    counts = (ratios.kept(group["size"], plan.get(name, 0.0)) for name, group in groups.items())
    return ",".join(map(str, counts))


def _seen(answer: Answer | None) -> dict[str, float]:
    """What was recorded, and the interval of its change."""
    assert answer is not None  # it was recorded
    return {name: getattr(answer, name) for name in ("accuracy", "low", "high")}

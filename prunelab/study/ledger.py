"""The ledger: rows of measured values, one JSON object a line, found by the key of their recipe.

Rows are appended as they come and never edited. A reader takes the last row of a key. A line that a
kill cut off is ignored, and removed by the next append.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from prunelab import checks, models, paths, processes, pulse, surgery, train
from prunelab import data as datasets
from prunelab.masks import Keep
from prunelab.study import archive, tasks
from prunelab.study import rows as files
from prunelab.study.circumstances import circumstances
from prunelab.study.recipes import Recipe, check_stem, plain
from prunelab.study.rows import read
from prunelab.study.work import Work
from prunelab.train.as_found import full_float32

PROJECT = paths.results()
COMMITTED = PROJECT / "data" / "ledger"
CHECKPOINTS = PROJECT / "data" / "checkpoints"
STARTED = time.time()


def folder() -> Path:
    """Where new rows go: the run's own ledger, or, while writing the project's outputs, its own."""
    if paths.writing():
        return COMMITTED
    return paths.runs() / "ledger"


def _own() -> bool:
    """Whether only what this run measured counts."""
    return paths.in_a_run() or paths.writing()


def _folders() -> list[Path]:
    """Where rows are looked for."""
    return [folder()] if _own() else [COMMITTED, folder()]


def rows(stem: str, keys: Iterable[str] | None = None) -> list[dict]:
    """The rows of a paper, oldest first; of equal keys the last one measured stands.

    Those in `$PRUNELAB_ARCHIVE` count as older than all others. With `keys`, only these are read.
    """
    check_stem("ledger.rows", stem)
    url = None if _own() else archive.named()
    found = {row["key"]: row for row in (archive.read(url, stem, keys) if url else ())}
    for place in _folders():
        for row in read(place / f"{stem}.jsonl", keys):
            found[row["key"]] = row
    return list(found.values())


def append(row: dict) -> None:
    """Add one row to the ledger of its paper, whole or not at all. Errors: OSError, one line."""
    files.append(folder() / f"{row['stem']}.jsonl", row)


def run(
    recipes: Recipe | Iterable[Recipe],
    refresh: bool | str = False,
    progress: bool = True,
    spent: float = 0.0,
) -> list[dict]:
    """The rows of some recipes: looked up, or measured when told to.

    Args:
        recipes: one or several.
        refresh: False = only look up; "missing" = measure what has no row; True = measure all, and
            train again what was trained before this process. Under `prunelab run --refresh`, True
            leaves out what was measured or trained since that refresh began.
        progress: show bars while measuring.
        spent: seconds that each of them took before, elsewhere: the training of its network.

    Returns:
        The rows found or measured, in the order of the recipes; those not measured are left out.

    Raises:
        TypeError: `recipes` is neither a Recipe nor several.
        ValueError: `refresh` is none of the three, `spent` is negative, or a ledger file is
            damaged.
        OSError: the row cannot be written.
    """
    valid = isinstance(refresh, bool) or (isinstance(refresh, str) and refresh == "missing")
    checks.need(valid, "ledger.run", "refresh", "False, 'missing' or True", refresh)
    checks.number("ledger.run", "spent", spent, "seconds >= 0", lambda value: value >= 0)
    recipes = checks.listed("ledger.run", "recipes", recipes, Recipe, "a Recipe or several")
    keys, stems = [recipe.key for recipe in recipes], {recipe.stem for recipe in recipes}
    known = processes.once(lambda: {row["key"]: row for stem in stems for row in rows(stem, keys)})
    out = []
    for recipe in pulse.each("recipe", recipes):
        row = known.get(recipe.key)
        again = refresh is True and not (row and _is_of_this_refresh(row))
        if again or (row is None and refresh == "missing"):
            since = _started() if refresh is True else 0.0
            row = measure(recipe, progress, since)
            row["seconds"] = round(row["seconds"] + spent, 2)
            if processes.is_first():
                append(row)
                _work(recipe).done()
            processes.wait()
            known[recipe.key] = row
        if row is not None:
            out.append(row)
    return out


def _is_of_this_refresh(row: dict) -> bool:
    """Whether `prunelab run --refresh` measured it; a refresh by hand measures every time."""
    began = paths.refresh_began()
    return began is not None and row["date"] > began


def _started() -> float:
    """When this refresh began, or else this process, in seconds since 1970."""
    began = paths.refresh_began()
    return datetime.fromisoformat(began).timestamp() if began else STARTED


def _work(recipe: Recipe, progress: bool = False) -> Work:
    shown = progress and processes.is_first()
    return Work(recipe.seed, shown, paths.runs() / "partial" / recipe.key)


@full_float32()
def measure(recipe: Recipe, progress: bool = True, since: float = 0.0) -> dict:
    """Measure one recipe: train (or take the trained network of this run), do the task.

    Args:
        recipe: what to measure.
        progress: show bars.
        since: what was trained or half measured before this time (seconds since 1970) is not used.

    Returns:
        The row; it is not appended.
    """
    kind = device()
    place = processes.device(kind)
    start = time.perf_counter()
    data, net, extra = None, None, {}
    if recipe.data is None:
        torch.manual_seed(recipe.seed)
        net = models.build(recipe.model, recipe.task.classes)
    else:
        data = datasets.load(recipe.data, device=place)
        net, extra = trained(recipe, data, progress, since)
    work = _work(recipe, progress)
    if processes.is_first() and work.folder.is_dir() and work.folder.stat().st_mtime < since:
        work.done()
    processes.wait()
    values = recipe.task.run(net, data, work)
    if isinstance(recipe.task, tasks.Baseline):
        values |= extra
    return {
        "key": recipe.key,
        "stem": recipe.stem,
        "preset": recipe.preset,
        "label": recipe.label,
        "seed": recipe.seed,
        "recipe": plain(recipe),
        "values": values,
        "seconds": round(time.perf_counter() - start, 2),
        "data_checksum": data.checksum if data else None,
    } | circumstances(kind)


def device() -> str:
    """Where recipes are measured: cpu or cuda."""
    return paths.device() or ("cuda" if torch.cuda.is_available() else "cpu")


def prepare(recipe: Recipe) -> list[Path]:
    """Train the recipe's network, if this run has not; returns the files that hold it."""
    since = _started() if paths.refresh_began() else 0.0
    trained(recipe, datasets.load(str(recipe.data), device=device()), False, since)
    return [*(paths.runs() / "checkpoints").glob(f"{recipe.trained_key}.[sj]*")]


def trained(
    recipe: Recipe, data: datasets.Dataset, progress: bool, since: float = 0.0
) -> tuple[nn.Module, dict]:
    """The recipe's network, trained if it has a budget; and its history. A run trains it once."""
    place = paths.runs() / "checkpoints"
    done = place / f"{recipe.trained_key}.safetensors"
    lock = paths.made(paths.runs() / "locks", "ledger.run") / f"{recipe.trained_key}.lock"
    history, partial = done.with_suffix(".json"), done.with_suffix(".fit")
    torch.manual_seed(recipe.seed)
    channels = data.example.shape[1]
    net = models.build(recipe.model, data.num_classes, channels).to(data.example.device)
    if recipe.budget is None:  # the task trains it, from its first weights on
        return net, {}
    first = processes.is_first()
    # Two notebooks may want it at once. Of several processes the first has the lock for all.
    with pulse.held(FileLock(lock)) if first else nullcontext():
        for file in (done, history, partial) if first else ():
            if file.is_file() and file.stat().st_mtime < since:
                file.unlink()
        processes.wait()
        # A run of the series trains its own; otherwise the project's own copy will do.
        for found in [done] if paths.in_a_run() else [done, CHECKPOINTS / done.name]:
            try:
                return surgery.load(net, found), json.loads(found.with_suffix(".json").read_bytes())
            except FileNotFoundError:
                continue
            except ValueError as error:
                warnings.warn(f"ledger: {error}; the network is trained again", stacklevel=2)
        start = time.perf_counter()
        how = {"seed": recipe.seed, "progress": progress, "checkpoint": partial}
        course = train.fit(net, data, recipe.budget, **how)
        extra = {
            "best_accuracy": course.best["test_accuracy"],
            "history": course.rows,
            "training_seconds": round(time.perf_counter() - start, 2),
        }
        if first:
            surgery.save(net, Keep(), done)
            paths.write_text(history, json.dumps(extra), "ledger.run")
            partial.unlink(missing_ok=True)
        processes.wait()
    return net, extra


def network(recipe: Recipe) -> nn.Module | None:
    """The recipe's trained network if it is there, this run's or the project's; None if not."""
    name = f"{recipe.trained_key}.safetensors"
    for found in (paths.runs() / "checkpoints" / name, CHECKPOINTS / name):
        if found.is_file():
            return surgery.load(models.build(recipe.model), found).eval()
    return None

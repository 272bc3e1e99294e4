"""Fan-out: the recipes of a run are measured by Dask workers, before its notebooks look them up.

A row is in the ledger of the run once, whatever dies: a worker adds it where it works, the run
where it is missing, and what was measured before is not measured again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from prunelab.study import ledger, papers, rows
from prunelab.study.recipes import Recipe
from prunelab.study.runner import clusters, worker
from prunelab.study.runner.done import Done, told
from prunelab.study.runner.estimates import Estimates, said
from prunelab.study.runner.execution import one_line
from prunelab.study.runner.plan import SCHEDULERS, SeriesPlan, shown

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 60.0  # seconds that a run waits for a scheduler, at first and when it is gone
GONE = ("cancelled", "lost")  # states of a future whose scheduler is no longer there
LOOK = 0.2  # seconds between two looks at what is done


def carry_out(
    plan: SeriesPlan, recipes: Mapping[str, Recipe], *, progress: bool = True
) -> list[Done]:
    """Measure recipes; those that come first are begun first.

    Args:
        plan: of the run; `plan.scheduler` says whose workers measure.
        recipes: key -> recipe, see `wanted`.
        progress: show a bar.

    Returns:
        What was measured, and what failed: a notebook tries that again, and shows the error.

    Raises:
        OSError: there is no scheduler, for a minute; or a row cannot be written.
        RuntimeError: for `plan.limit` seconds there was no worker, or no sign of life of local
            ones.
        ValueError: a worker has several threads.
    """
    waiting = dict(recipes)
    if not waiting:
        return []
    found: list[Done] = []
    bar = tqdm(total=len(waiting), unit="recipe", **shown(progress))
    try:
        with bar, clusters.scheduler(plan) as address:
            while waiting:
                with suppress(_Lost):  # perhaps it is started again
                    for done in _through(plan, address, [*waiting.values()], bar):
                        found.append(done)
                        del waiting[done.recipe.key]
                        if done.error:
                            bar.write(f"{done.recipe.label}: {done.error}", file=sys.stdout)
    finally:  # an interruption is how a session usually ends
        if found:
            print(told(found), flush=True)
    return found


def wanted(plan: SeriesPlan, stems: Iterable[str]) -> dict[str, Recipe]:
    """Key -> recipe of all that these papers ask for and that has no row of this run yet."""
    preset, seeds = plan.parameters["PRESET"], plan.parameters["SEEDS"]
    found: dict[str, Recipe] = {}
    known = rows.Dates(folder(plan))
    for stem in stems:
        dates = known.of(stem)
        for part in papers.study(stem).recipes(preset, seeds).values():
            found |= {r.key: r for r in part if dates.get(r.key, "") <= plan.since}
    return found


def folder(plan: SeriesPlan) -> Path:
    """The ledger of a run."""
    return ledger.COMMITTED if plan.write else plan.out / "ledger"


class _Lost(Exception):  # noqa: N818  (no error: it is tried again)
    """The scheduler answers no longer."""


def _through(plan: SeriesPlan, address: str, recipes: list[Recipe], bar: tqdm) -> Iterator[Done]:
    """Measure recipes on the workers of a scheduler; each is told of as it comes. Errors: _Lost."""
    from distributed import Client

    given, known = clusters.passed(plan), rows.Dates(folder(plan))
    guess = Estimates(folder(plan), plan.device)
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = f"({type(error).__name__}); `dask scheduler` starts one"
        raise OSError(f"run: no scheduler at {address} {reason}") from None
    with client:
        info = client.scheduler_info()
        workers = plan.workers if plan.scheduler in SCHEDULERS else info["n_workers"]
        left = {recipe.key: guess.seconds(recipe) for recipe in recipes}
        bar.write(f"measuring {len(recipes)} recipes {said(left.values(), workers)}", sys.stdout)
        if find_spec("bokeh"):
            bar.write(f"dashboard: {client.dashboard_link}", sys.stdout)
        futures = _submitted(client, recipes, given)
        for future in _as_done(plan, client, [*futures]):
            done = _taken(known, futures[future], future)
            del left[done.recipe.key]
            yield done
            bar.set_postfix_str(said(left.values(), workers), refresh=False)
            bar.update()


def _submitted(
    client: Client, recipes: Iterable[Recipe], given: Mapping[str, str]
) -> dict[Future, Recipe]:
    """Each recipe after the training of its network, which others may share."""
    networks: dict[str, Future] = {}
    futures = {}
    for recipe in recipes:
        name, first = recipe.trained_key, False
        if recipe.budget is not None and name not in networks:
            networks[name] = client.submit(
                worker.train, recipe, given, key=f"train-{name}-{client.id}"
            )
            first = True
        more = (recipe, recipe.key, given, networks.get(name), first)
        futures[client.submit(worker.measure, *more, key=f"{recipe.key}-{client.id}")] = recipe
    return futures


def _as_done(plan: SeriesPlan, client: Client, futures: list[Future]) -> Iterator[Future]:
    """The futures, each when it is done. Errors: _Lost, RuntimeError."""
    seen, since = None, time.monotonic()
    while futures:
        if client.status != "running" or any(f.status in GONE for f in futures):
            raise _Lost
        done = {future for future in futures if future.done()}
        futures = [future for future in futures if future not in done]
        yield from done
        signs = [sign.stat().st_mtime_ns for sign in clusters.signs(plan)]
        if done or (signs and signs != seen):
            seen, since = signs, time.monotonic()
        elif time.monotonic() - since > plan.limit:
            if signs or not _workers(client):
                what = "no progress" if signs else "no worker"
                raise RuntimeError(f"run: {what} for {plan.limit:g} s (see --limit)")
            since = time.monotonic()
        if not done:
            time.sleep(LOOK)


def _workers(client: Client) -> int:
    """How many there are now. Errors: _Lost."""
    try:
        return client.scheduler_info(n_workers=0)["n_workers"]
    except OSError:
        raise _Lost from None


def _taken(known: rows.Dates, recipe: Recipe, future: Future) -> Done:
    """What became of a recipe; its row is in the ledger of the run.

    Errors: _Lost, OSError; ValueError, a worker has several threads.
    """
    if future.status == "error":
        error = future.exception()
        if isinstance(error, clusters.ThreadsError):  # nothing of it is right
            raise error
        return Done(recipe, error=one_line(f"{type(error).__name__}: {error}"))
    try:
        row, name, *before = future.result(timeout=PATIENCE)
    except (OSError, CancelledError):
        raise _Lost from None
    known.add(row)
    return Done(recipe, name, row["seconds"], None, *before)

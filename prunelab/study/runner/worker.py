"""What a Dask worker does: it trains a network, or measures a recipe."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from prunelab import paths
from prunelab.study import ledger
from prunelab.study.recipes import Recipe
from prunelab.study.runner import clusters


class Trained(NamedTuple):
    """A recipe's trained network: its files by name, who trained it, and seconds that this took."""

    files: Mapping[str, bytes]
    worker: str
    seconds: float


def train(recipe: Recipe, given: Mapping[str, str]) -> Trained:
    """The recipe's trained network, for machines without it."""
    worker, start = _settle(given), time.perf_counter()
    with _freed():
        files = {path.name: path.read_bytes() for path in ledger.prepare(recipe)}
    return Trained(files, worker, time.perf_counter() - start)


def measure(
    recipe: Recipe,
    key: str,
    given: Mapping[str, str],
    network: Trained | None,
    first: bool,
) -> tuple[dict, str, str, float]:
    """The row of a recipe, which is in this worker's ledger too, and who measured it.

    The `first` recipe of a network pays for its training, as it would without workers: then who
    trained it and how long are returned too.
    """
    worker = _settle(given)
    if recipe.key != key:
        raise ValueError(f"worker {worker} has another version of prunelab")
    for name, content in (network.files if network else {}).items():
        path = paths.runs() / "checkpoints" / name
        if not path.is_file():
            with paths.whole(path, "run") as partial:
                partial.write_bytes(content)
    trainer, spent = (network.worker, network.seconds) if network and first else ("", 0.0)
    again = bool(paths.refresh_began()) or "missing"
    with _freed():
        (row,) = ledger.run(recipe, again, progress=False, spent=spent)
    return row, worker, trainer, spent


@contextmanager
def _freed() -> Iterator[None]:
    """Leave the GPU's memory to the other workers."""
    import torch

    try:
        yield
    finally:
        gc.collect()  # networks and hooks refer to each other
        torch.cuda.empty_cache()


def _settle(given: Mapping[str, str]) -> str:
    from distributed import get_worker

    worker = get_worker()
    clusters.check_alone(worker.name, worker.state.nthreads)
    clusters.settle(given, worker.local_directory)
    return str(worker.name)

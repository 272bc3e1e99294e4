"""Spread: a scan over several processes or machines, each with some of the images.

Every process has all groups and a part of the images, so nothing is computed twice, and an answer
is the one that a single process gives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pickle import PicklingError

import torch
from joblib.externals.loky import ProcessPoolExecutor
from torch import Tensor, nn

from prunelab import checks, meta
from prunelab.data import Split
from prunelab.sensitivity.scanning.arguments import traced
from prunelab.sensitivity.scanning.measuring import Answers, Bench, Update, compute
from prunelab.sensitivity.scanning.passes import Sweep
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.store import Store

IMAGES = 1000  # that a worker gets at a time

Workers = int | Executor | None


def check_workers(workers: object) -> None:
    """ValueError unless it is None, a number of processes or an Executor."""
    known = workers is None or isinstance(workers, Executor) or checks.is_count(workers, 1)
    checks.need(known, "scan", "workers", "a number of processes >= 1 or an Executor", workers)


@contextmanager
def executor(workers: Workers) -> Iterator[Executor | None]:
    """What runs the parts of a scan: nothing, processes that end with it, or the caller's own."""
    if not isinstance(workers, int):
        yield workers
        return
    cores = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(cores,))
    try:
        yield pool
    finally:
        pool.shutdown(kill_workers=True)


@dataclass(frozen=True)
class Away:
    """A bench for workers, as it travels.

    Attributes:
        net: the network.
        first: the images on which its fast form is tried: the same for all.
        keeps: group -> point -> mask.
        logits: as for `scan`.
    """

    net: nn.Module
    first: Split
    keeps: Mapping[str, Mapping[object, Tensor]]
    logits: str | int | None

    def only(self, points: Set[object]) -> Away:
        """With these points alone."""
        keeps = {
            group: {point: keep for point, keep in own.items() if point in points}
            for group, own in self.keeps.items()
        }
        return replace(self, keeps={group: own for group, own in keeps.items() if own})

    def bench(self, split: Split) -> Bench:
        """The bench again, with the images of one worker."""
        example = self.first.batch(slice(None), meta.dtype_of(self.net))[0]
        program = Program(self.net, traced(self.net, example[:1]), example, self.logits)
        sweeps = [Sweep(name, program.replay(name), keep) for name, keep in self.keeps.items()]
        return Bench(program, sweeps, split, Store(None))


def spread(
    pool: Executor, away: Away, bench: Bench, batches: Sequence[Tensor], update: Update
) -> list[Answers]:
    """The answers on each batch, those that are not stored from the workers of `pool`."""
    found = [bench.known(rows) for rows in batches]
    missing = [i for i, known in enumerate(found) if not bench.complete(known)]
    update((len(found) - len(missing)) * bench.total(batches[0]))
    jobs: dict[Future, list[int]] = {}
    size = max(1, IMAGES // len(batches[0]))
    try:
        for start in range(0, len(missing), size):
            part = missing[start : start + size]
            images = bench.split[torch.cat([batches[i] for i in part])]
            lengths = [len(batches[i]) for i in part]
            done = frozenset.intersection(*(frozenset(found[i]) for i in part))
            new = {p for p, name in bench.names.items() if name not in done}
            try:
                jobs[pool.submit(answers, away.only(new), images, lengths)] = part
            except RuntimeError as error:
                raise RuntimeError(f"scan: `workers` takes no work: {error}") from None
        for job in as_completed(jobs):
            for i, known in zip(jobs[job], _result(job)):
                found[i] |= known
                bench.keep(batches[i], found[i])
                update(bench.total(batches[i]))
    finally:
        for job in jobs:
            job.cancel()
    return found


def _result(job: Future) -> list[Answers]:
    try:
        return job.result()
    except BrokenExecutor:
        raise RuntimeError(
            "scan: a worker of `workers` ended before it answered (killed, or out of memory); what"
            " was seen before is kept where there is a cache"
        ) from None
    except (PicklingError, AttributeError, TypeError) as error:
        reason = str(error.__cause__ or error).split("\n")[0]
        if "pickle" not in f"{type(error).__name__} {error}".lower():
            raise
        raise TypeError(f"scan: `net` cannot be sent to `workers`: {reason}") from None


def answers(away: Away, split: Split, lengths: Sequence[int]) -> list[Answers]:
    """In a worker: the answers on batches of these lengths."""
    bench = away.bench(split)
    out: list[Answers] = []
    for rows in torch.arange(len(split), device=split.device).split([*lengths]):
        out.append(known := {})
        compute(bench, bench.sweeps, rows, known, lambda points: None)
    return out

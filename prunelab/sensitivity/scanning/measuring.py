"""Measuring: the answers of every point of a scan, image by image, stored or computed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelab import pulse
from prunelab.data import Split
from prunelab.sensitivity.scanning.passes import Judged, Sweep, forward, judge, points, without
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.store import Store, digest
from prunelab.train.evaluation import check_logits

WHOLE = "whole"
MOST_VALUES = 3 * 2**17  # of a batch of images: 128 of 3x32x32, whose activations fit a cache
Update = Callable[[int], object]  # called with a number of points that are done


@dataclass(frozen=True)
class Bench:
    """A network, its groups with their masks, the images, and what is already known of these."""

    program: Program
    sweeps: list[Sweep]
    split: Split
    store: Store

    def total(self, index: Tensor) -> int:
        """Forward passes for the images `index`: batches times networks, the whole one included."""
        batches = -(-len(index) // batch_size(self.split))
        return batches * (1 + sum(len(sweep.keeps) for sweep in self.sweeps))


def batch_size(split: Split) -> int:
    """Images a batch: many for small ones, 16 at least."""
    return min(1000, max(16, MOST_VALUES // math.prod(split.images.shape[1:])))


def measure(bench: Bench, index: Tensor, update: Update) -> dict[object, Judged]:
    """Answers on the images `index`: of the whole network (key `WHOLE`) and of every point."""
    return merged(_batch(bench, rows, update) for rows in index.split(batch_size(bench.split)))


def merged(parts: Iterable[Mapping[object, Judged]]) -> dict[object, Judged]:
    """The answers on several sets of images, one after the other."""
    parts = list(parts)
    return {
        point: Judged(
            torch.cat([part[point].correct for part in parts]),
            sum(part[point].loss for part in parts),
            torch.cat([part[point].close for part in parts]),
        )
        for point in parts[0]
    }


def _name(sweep: Sweep, point: object) -> str:
    """A mask's name in the store: it depends on the channels, not on the ratio."""
    bits = hashlib.blake2b(sweep.keeps[point].numpy().tobytes(), digest_size=8).hexdigest()
    return f"{sweep.group} {bits}"


def _batch(bench: Bench, rows: Tensor, update: Update) -> dict[object, Judged]:
    batch = digest(rows)
    known = bench.store.read(batch)
    names = {point: _name(sweep, point) for sweep in bench.sweeps for point in sweep.keeps}
    done = {point for point, name in names.items() if name in known}
    sweeps = [left for sweep in bench.sweeps if (left := without(sweep, done))]
    update(len(done) + (WHOLE in known and not sweeps))
    if sweeps or WHOLE not in known:
        try:
            _run(bench, sweeps, rows, names, known, update)
        finally:  # what was seen before an interruption is kept
            bench.store.write(batch, known)
    return {WHOLE: known[WHOLE]} | {point: known[name] for point, name in names.items()}


@torch.inference_mode()
def _run(
    bench: Bench, sweeps: list[Sweep], rows: Tensor, names: dict, known: dict, update: Update
) -> None:
    """Compute what is not known of one batch, and add the answers to `known`."""
    x, y = bench.split.batch(rows.to(bench.split.device))
    logits, values = forward(bench.program, x, sweeps)
    check_logits("scan", logits, len(y), bench.split.labels)
    if not logits.amax(1).isfinite().all():  # a class may be ruled out by minus infinity
        raise ValueError(
            "scan: the logits of `net` must be finite; they are not for some images of `split`"
        )
    known[WHOLE] = judge(logits, y)
    update(1)
    for sweep in sweeps:
        for point, out in points(bench.program, sweep, values):
            known[names[point]] = judge(out, y)
            update(1)
            pulse.beat()

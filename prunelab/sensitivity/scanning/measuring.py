"""Measuring: the answers of every point of a scan, image by image, stored or computed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelab import pulse
from prunelab.data import Split
from prunelab.sensitivity.scanning.identity import digest
from prunelab.sensitivity.scanning.passes import Judged, Sweep, forward, judge, points, without
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.store import Store
from prunelab.train import Evaluation
from prunelab.train.as_found import full_float32
from prunelab.train.evaluation import check_logits

WHOLE = "whole"
MOST_VALUES = 3 * 2**17  # of a batch of images: 128 of 3x32x32, whose activations fit a cache
Update = Callable[[int], object]  # called with a number of points that are done
Answers = dict[str, Judged]  # on one batch, by a point's name in the store, or `WHOLE`


@dataclass(frozen=True)
class Bench:
    """A network, its groups with their masks, the images, and what is already known of these."""

    program: Program
    sweeps: list[Sweep]
    split: Split
    store: Store

    @functools.cached_property
    def names(self) -> dict[object, str]:
        """Point -> its name in the store: it depends on the channels, not on the ratio."""
        masks = [(s.group, point, keep) for s in self.sweeps for point, keep in s.keeps.items()]
        return {point: digest(group, keep) for group, point, keep in masks}

    def known(self, rows: Tensor) -> Answers:
        """What is stored of a batch."""
        return self.store.read(digest(rows))

    def keep(self, rows: Tensor, known: Answers) -> None:
        """Store what is known of a batch."""
        self.store.write(digest(rows), known)

    def complete(self, known: Answers) -> bool:
        """Whether nothing of a batch is left to compute."""
        return {WHOLE, *self.names.values()} <= known.keys()

    def total(self, index: Tensor) -> int:
        """Forward passes for the images `index`: batches times networks, the whole one included."""
        batches = -(-len(index) // batch_size(self.split))
        return batches * (1 + sum(len(sweep.keeps) for sweep in self.sweeps))


Elsewhere = Callable[[Bench, Sequence[Tensor], Update], list[Answers]]


def batch_size(split: Split) -> int:
    """Images a batch: many for small ones, 16 at least."""
    return min(1000, max(16, MOST_VALUES // math.prod(split.images.shape[1:])))


def measure(
    bench: Bench, index: Tensor, update: Update, elsewhere: Elsewhere | None = None
) -> list[dict[object, Judged]]:
    """By batch of the images `index`: answers of the whole network (`WHOLE`) and of every point.

    `elsewhere` computes what is not stored; None = this process does.
    """
    batches = index.split(batch_size(bench.split))
    if elsewhere is None:
        found = [_batch(bench, rows, update) for rows in batches]
    else:
        found = elsewhere(bench, batches, update)
    names = {WHOLE: WHOLE} | bench.names
    return [{point: known[name] for point, name in names.items()} for known in found]


def merged(parts: Sequence[Mapping[object, Judged]]) -> dict[object, Evaluation]:
    """The answers on several sets of images, as on all of them."""
    found = {}
    for point in parts[0]:
        correct = torch.cat([part[point].correct for part in parts])
        loss, n = sum(part[point].loss for part in parts), len(correct)
        found[point] = Evaluation(int(correct.sum()) / n, loss / n, correct)
    return found


def _batch(bench: Bench, rows: Tensor, update: Update) -> Answers:
    known = bench.known(rows)
    done = {point for point, name in bench.names.items() if name in known}
    sweeps = [left for sweep in bench.sweeps if (left := without(sweep, done))]
    update(len(done) + (WHOLE in known and not sweeps))
    if sweeps or WHOLE not in known:
        try:
            compute(bench, sweeps, rows, known, update)
        finally:  # what was seen before an interruption is kept
            bench.keep(rows, known)
    return known


@torch.inference_mode()
@full_float32()
def compute(
    bench: Bench, sweeps: list[Sweep], rows: Tensor, known: Answers, update: Update
) -> None:
    """Compute what is not known of one batch, and add the answers to `known`."""
    x, y = bench.split.batch(rows.to(bench.split.device), bench.program.dtype)
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
            known[bench.names[point]] = judge(out, y)
            update(1)
            pulse.beat()

"""each_channel(): remove every channel of a group alone, and see which classes lose."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import nn

from prunelab import checks, meta
from prunelab.data import Split
from prunelab.sensitivity.scanning.arguments import as_pair, checked, chosen, traced
from prunelab.sensitivity.scanning.measuring import WHOLE, Bench, measure, merged
from prunelab.sensitivity.scanning.passes import Sweep
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.store import Store

COLUMNS = ["channel", "class", "images", "change"]


def each_channel(
    net: nn.Module,
    split: Split,
    group: str,
    *,
    logits: str | int | None = None,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Remove each channel of a group alone: the change of accuracy of every class.

    Exact, and as fast as a scan: only what depends on the group runs again.

    Args:
        net: a trained network; it is not changed.
        split: the images to evaluate on; or a pair of tensors (images, labels).
        group: name of the group.
        logits: which entry of the output holds the logits, as for `scan`.
        progress: called with the fraction done; may raise to stop.

    Returns:
        One row per (channel, class) with images: channel, class, images (of that class), change
        (of the fraction of these that are classified correctly).

    Raises:
        ValueError, TypeError: as `scan`.
    """
    if progress is not None:
        checks.function("each_channel", "progress", progress, "done")
    split = as_pair(split)
    net, _ = checked(net, split, [0.5], logits)
    dtype = meta.dtype_of(net)
    flow = traced(net, split.batch(slice(0, 1), dtype)[0])
    size = chosen(flow, [group])[group].size
    program = Program(net, flow, split.batch(slice(0, 3), dtype)[0], logits)
    keeps: dict[object, torch.Tensor] = {n: torch.arange(size) != n for n in range(size)}
    sweeps = [Sweep(group, program.replay(group), keeps)]
    bench, index = Bench(program, sweeps, split, Store(None)), torch.arange(len(split))
    total, done = bench.total(index), 0

    def update(points: int) -> None:
        nonlocal done
        done += points
        if progress is not None:
            progress(done / total)

    seen, labels = merged(measure(bench, index, update)), split.labels.cpu()
    before = seen[WHOLE].correct.double()
    found = []
    for channel in keeps:
        change = seen[channel].correct.double() - before
        for label in labels.unique().tolist():
            own = change[labels == label]
            found.append((channel, label, len(own), own.mean().item()))
    return pd.DataFrame(found, columns=COLUMNS)

"""scan(): prune each group alone at growing ratios; exact, but without the repeated work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import checks, meta, scores
from prunelab.data import Split
from prunelab.groups import Groups
from prunelab.sensitivity.budget.price import price
from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.points import outcome, settled
from prunelab.sensitivity.scanning.arguments import as_pair, check_options, checked, chosen, traced
from prunelab.sensitivity.scanning.measuring import WHOLE, Bench, Elsewhere, measure, merged
from prunelab.sensitivity.scanning.passes import Judged, Sweep
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.spread import Away, Workers, check_workers, executor, spread
from prunelab.sensitivity.scanning.store import Store
from prunelab.train import Evaluation
from prunelab.train.as_found import full_float32

COLUMNS = "group ratio kept correct accuracy low high loss params macs".split()

Progress = bool | Callable[[float], None]


@full_float32()
def scan(
    net: nn.Module,
    split: Split,
    *,
    ratios: Sequence[float],
    groups: Groups | Iterable[str] | None = None,
    criterion: Criterion = "l1",
    images: int | None = None,
    logits: str | int | None = None,
    cache: str | Path | bool | None = None,
    progress: Progress = True,
    workers: Workers = None,
) -> pd.DataFrame:
    """Prune each group alone at each ratio, and evaluate the network.

    Exact: every image gets the answer of the network that was really shrunk (two logits within 1e-5
    of their size may swap by rounding). Fast: a batch goes
    forward once; then, for each group, only what depends on it runs again, on the kept channels.

    Args:
        net: a trained network; a copy is measured, in evaluation mode and in the network's own
            floating type. It may be wrapped (`nn.DataParallel`, `torch.compile`, an average).
        split: the images to evaluate on; or a pair of tensors (images, labels).
        ratios: the fractions to remove, rising, each in [0, 1).
        groups: the groups to scan, or their names; None = all that `trace` finds.
        criterion: "l1", "l2", or "largest", "random" (PFEC's controls), "taylor", "batch norm",
            "geometric median" or "mean activation"; or scores by group name; or a function
            score(group) -> (size,), or one that `prunelab.criterion` made, which looks at the first
            images of `split`. The channels of smallest score are removed first.
        images: start with this many images, drawn at random, and double the number until the
            ranking of the groups is settled (see `points.settled`); None = all images.
        logits: which entry of the network's output holds the logits: a key, a position or an
            attribute. Only what it depends on is run. None = the output is the logits.
        cache: folder where answers are stored by content, so that more ratios, groups or images
            cost only what is new, and a killed scan resumes; False = none; None =
            `$PRUNELAB_CACHE`, or scans in `prunelab.paths.cache_folder()`. Nothing is stored for a
            network that cannot be identified, nor (with a warning) in a folder that is full.
        progress: True shows a bar; a function is called with the fraction done, and may raise to
            stop the scan.
        workers: a number of processes that share the images, and the cores; or an Executor, as
            `dask.distributed.Client(...).get_executor()` for other machines. They must be able to
            import what `net` is made of. None = this process.

    Returns:
        One row per (group, ratio): group, ratio, kept (channels), correct (images), accuracy, low
        and high (95% interval of the change in accuracy from the unpruned network, paired on the
        same images), loss, params, macs (of the shrunk network). `attrs` holds `whole` (the
        unpruned network), `price` (exact costs of all combinations) and `ranking` (its certainty).

    Raises:
        ValueError: ratios not rising or outside [0, 1), an unknown group or criterion, scores that
            are missing, of the wrong length or not finite, an empty split or one that does not
            fit, labels that are no classes, groups of another network, a group named twice; or a
            network that cannot be replayed exactly: its forward writes over a value that it reads
            again under another name, draws random numbers, or a hook changes what it gives.
        TypeError: an argument of the wrong type; an output that is no tensor, without `logits`.

    Source: PFEC, section 3.2 and Figure 2(b).
    """
    check_options(images, cache, progress)
    check_workers(workers)
    split = as_pair(split)
    net, ratios = checked(net, split, ratios, logits)
    program, groups, sweeps = prepared(net, split, ratios, groups, criterion, logits)
    bench = Bench(program, sweeps, split, Store.at(cache, program, split))
    away = Away(net, split[:3], {sweep.group: sweep.keeps for sweep in sweeps}, logits)
    with executor(workers) as pool:
        seen = _grow(bench, images, progress, pool and partial(spread, pool, away))
    prices = price(net, _first(net, split, 1), groups)
    base, rows = seen[WHOLE], []
    for name, group in groups.items():
        for ratio in ratios:
            kept = scores.kept(group.size, ratio)
            row = {"group": name, "ratio": ratio, "kept": kept} | outcome(base, seen[name, ratio])
            rows.append(row | dict(zip(("params", "macs"), prices({name: kept}))))
    table = pd.DataFrame(rows, columns=COLUMNS)
    whole = {"accuracy": base.accuracy, "loss": base.loss, "correct": int(base.correct.sum())}
    whole |= {"images": len(base.correct), **dict(zip(("params", "macs"), prices()))}
    order = settled(_flags(seen, sweeps)) if sweeps else None
    table.attrs = {"whole": whole, "price": prices.to_dict(), "ranking": order}
    return table


def prepared(
    net: nn.Module,
    split: Split,
    ratios: Sequence[float],
    groups: Groups | Iterable[str] | None,
    criterion: Criterion,
    logits: str | int | None,
) -> tuple[Program, Groups, list[Sweep]]:
    """The network as a program, the groups chosen, and what to try on each."""
    flow = traced(net, _first(net, split, 1))
    found = chosen(flow, groups)
    order = ranking(net, found, criterion, split, logits)
    program = Program(net, flow, _first(net, split, 3), logits)
    sweeps = []
    for name, score in order.items():
        kept = {ratio: scores.kept(len(score), ratio) for ratio in ratios}
        keeps = {(name, ratio): scores.best(score, count) for ratio, count in kept.items()}
        sweeps.append(Sweep(name, program.replay(name), keeps))
    return program, found, sweeps


def _first(net: nn.Module, split: Split, images: int) -> Tensor:
    return split.batch(slice(0, images), meta.dtype_of(net))[0]


def _all(
    bench: Bench, index: Tensor, progress: Progress, elsewhere: Elsewhere | None
) -> list[dict[object, Judged]]:
    total, done = bench.total(index), 0
    with tqdm(
        total=total, desc=f"scan, {len(index)} images", unit="point", leave=False,
        disable=progress is not True,
    ) as bar:  # fmt: skip

        def update(points: int) -> None:
            nonlocal done
            done += points
            bar.update(points)
            if callable(progress):
                checks.call("scan", "progress", progress, done / total)

        return measure(bench, index, update, elsewhere)


def _grow(
    bench: Bench, images: int | None, progress: Progress, elsewhere: Elsewhere | None
) -> dict[object, Evaluation]:
    """Answers on all images, or on more and more until the ranking is settled."""
    order = torch.randperm(len(bench.split), generator=torch.Generator().manual_seed(0))
    end = len(order) if images is None else min(images, len(order))
    parts, start = [], 0
    while True:
        parts += _all(bench, order[start:end], progress, elsewhere)
        seen = merged(parts)
        if end == len(order) or not bench.sweeps or settled(_flags(seen, bench.sweeps))["settled"]:
            return seen
        start, end = end, min(2 * end, len(order))


def _flags(seen: Mapping[object, Evaluation], sweeps: list[Sweep]) -> dict[str, Tensor]:
    return {sweep.group: torch.stack([seen[p].correct for p in sweep.keeps]) for sweep in sweeps}

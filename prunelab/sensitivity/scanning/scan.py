"""scan(): prune each group alone at growing ratios; exact, but without the repeated work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import checks, scores
from prunelab.data import Split
from prunelab.groups import Groups
from prunelab.sensitivity.budget.price import price
from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.points import outcome, settled
from prunelab.sensitivity.scanning.arguments import (
    check_options,
    checked,
    chosen,
    images_of,
    names_of,
    traced,
)
from prunelab.sensitivity.scanning.measuring import WHOLE, Bench, measure, merged
from prunelab.sensitivity.scanning.passes import Judged, Sweep
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.recalibration import recalibrated
from prunelab.sensitivity.scanning.store import Store
from prunelab.sensitivity.scanning.trial import IMAGES
from prunelab.train import Evaluation

COLUMNS = "group ratio kept correct accuracy low high loss params macs".split()
SEEN = "correct accuracy low high loss".split()

Point = tuple[str, float]
Progress = bool | Callable[[float], None]


def scan(
    net: nn.Module,
    split: Split,
    *,
    ratios: Sequence[float],
    groups: Groups | Iterable[str] | None = None,
    criterion: Criterion = "l1",
    images: int | None = None,
    recalibrate: Split | None = None,
    logits: str | int | None = None,
    cache: str | Path | bool | None = None,
    progress: Progress = True,
) -> pd.DataFrame:
    """Prune each group alone at each ratio, and evaluate the network.

    Exact: every image gets the answer of the network that was really shrunk. Fast: a batch goes
    forward once; then, for each group, only what depends on it runs again, on the kept channels.

    Args:
        net: a trained network; a copy is measured, in evaluation mode and in the network's own
            floating type. It may be wrapped (`nn.DataParallel`, `torch.compile`, an average).
        split: the images to evaluate on.
        ratios: the fractions to remove, rising, each in [0, 1).
        groups: the groups to scan, or their names; None = all that `trace` finds.
        criterion: "l1", "l2", or "largest", "random" (PFEC's controls); or scores by group name; or
            a function score(group) -> (size,). The channels of smallest score are removed first.
        images: start with this many images, drawn at random, and double the number until the
            ranking of the groups is settled (see `settled`); None = all images.
        recalibrate: calibration images. If given, the scan also measures with batch norms
            re-estimated on them: columns correct_bn, accuracy_bn, low_bn, high_bn, loss_bn.
        logits: which entry of the network's output holds the logits: a key, a position or an
            attribute. Only what it depends on is run. None = the output is the logits.
        cache: folder where answers are stored by content, so that more ratios, groups or images
            cost only what is new, and a killed scan resumes; False = none; None =
            `$PRUNELAB_CACHE`, or scans in `prunelab.paths.cache_folder()`. Nothing is stored for a
            network that cannot be identified, nor (with a warning) in a folder that is full.
        progress: True shows a bar; a function is called with the fraction done, and may raise to
            stop the scan.

    Returns:
        One row per (group, ratio): group, ratio, kept (channels), correct (images), accuracy, low
        and high (95% interval of the change in accuracy from the unpruned network, paired on the
        same images), loss, params, macs (of the shrunk network). `attrs` holds `whole` (the
        unpruned network), `price` (exact costs of all combinations), `ranking` (its certainty) and
        `close` (the number of answers that rounding could change: two logits within 1e-5 of their
        size).

    Raises:
        ValueError: ratios not rising or outside [0, 1), an unknown group or criterion, scores that
            are missing, of the wrong length or not finite, an empty split or one that does not
            fit, labels that are no classes, groups of another network, a group named twice; or a
            network that cannot be replayed exactly: its forward writes over a value that it reads
            again under another name, draws random numbers, or a hook changes what it gives.
        TypeError: an argument of the wrong type; an output that is no tensor, without `logits`.

    Source: PFEC, section 3.2 and Figure 2(b).
    """
    check_options(images, recalibrate, cache, progress)
    groups = names_of(groups)
    net, ratios = checked(net, split, ratios, logits)
    example = images_of(net, split, 1)
    program, groups, sweeps = prepared(net, split, ratios, groups, criterion, logits)
    bench = Bench(program, sweeps, split, Store.at(cache, program, split))
    seen, index = _grow(bench, images, progress)
    table = _table(seen, groups, ratios)
    prices = price(net, example, groups)
    costs = [prices({g: kept}) for g, kept in zip(table.group, table.kept)]
    table[["params", "macs"]] = pd.DataFrame(costs, columns=["params", "macs"], dtype="int64")
    if recalibrate is not None:
        renewed, change = recalibrated(net, traced(net, example), sweeps, recalibrate, logits)
        replays = [Sweep(sweep.group, renewed.replay(sweep.group), sweep.keeps) for sweep in sweeps]
        store = Store.at(cache, renewed, split, "recalibrated", recalibrate)
        again = _all(Bench(renewed, replays, split, store, change), index, progress, "batch norm")
        more = _table(again, groups, ratios)[SEEN].add_suffix("_bn")
        table = pd.concat([table, more], axis=1)
    base = seen[WHOLE]
    params, macs = prices()
    whole = {"accuracy": float(base.correct.double().mean()), "loss": base.loss / len(index)}
    whole |= {"correct": int(base.correct.sum()), "images": len(index)}
    table.attrs = {
        "whole": whole | {"params": params, "macs": macs},
        "price": prices.to_dict(),
        "ranking": settled(_flags(seen, sweeps)) if sweeps else None,
        "close": sum(int(judged.close.sum()) for judged in seen.values()),
    }
    return table


def prepared(
    net: nn.Module,
    split: Split,
    ratios: Sequence[float],
    groups: Groups | list[str] | None,
    criterion: Criterion,
    logits: str | int | None,
) -> tuple[Program, Groups, list[Sweep]]:
    """The network as a program, the groups chosen, and what to try on each."""
    flow = traced(net, images_of(net, split, 1))
    found = chosen(flow, groups)
    order = ranking(net, found, criterion)
    program = Program(net, flow, logits=logits, example=images_of(net, split, IMAGES))
    sweeps = [Sweep(g, program.replay(g), _keeps(order[g], g, ratios)) for g in found]
    return program, found, sweeps


def _keeps(score: Tensor, group: str, ratios: list[float]) -> dict[Point, Tensor]:
    size = len(score)
    return {(group, ratio): scores.best(score, scores.kept(size, ratio)) for ratio in ratios}


class _Told:
    """A function in the place of a progress bar."""

    def __init__(self, tell: Callable[[float], None], total: int):
        self.tell, self.total, self.done = tell, total, 0

    def update(self, points: int = 1) -> None:
        self.done += points
        checks.call("scan", "progress", self.tell, self.done / self.total)


def _all(bench: Bench, index: Tensor, progress: Progress, name: str) -> dict[object, Judged]:
    if callable(progress):
        return measure(bench, index, _Told(progress, bench.total(index)))
    with tqdm(total=0, desc=name, unit="point", leave=False, disable=not progress) as bar:
        bar.reset(total=bench.total(index))
        return measure(bench, index, bar)


def _grow(
    bench: Bench, images: int | None, progress: Progress
) -> tuple[dict[object, Judged], Tensor]:
    """Answers on all images, or on more and more until the ranking is settled."""
    order = torch.randperm(len(bench.split), generator=torch.Generator().manual_seed(0))
    end = len(order) if images is None else min(images, len(order))
    parts, start = [], 0
    while True:
        parts.append(_all(bench, order[start:end], progress, f"scan, {end} images"))
        seen = merged(parts)
        if end == len(order) or not bench.sweeps or settled(_flags(seen, bench.sweeps))["settled"]:
            return seen, order[:end]
        start, end = end, min(2 * end, len(order))


def _flags(seen: Mapping[object, Judged], sweeps: list[Sweep]) -> dict[str, Tensor]:
    return {sweep.group: torch.stack([seen[p].correct for p in sweep.keeps]) for sweep in sweeps}


def _table(seen: Mapping[object, Judged], groups: Groups, ratios: list[float]) -> pd.DataFrame:
    base, rows = _evaluation(seen[WHOLE]), []
    for name, group in groups.items():
        for ratio in ratios:
            kept = scores.kept(group.size, ratio)
            point = outcome(base, _evaluation(seen[name, ratio]))
            rows.append({"group": name, "ratio": ratio, "kept": kept, **point})
    return pd.DataFrame(rows, columns=COLUMNS[:-2])


def _evaluation(judged: Judged) -> Evaluation:
    n = len(judged.correct)
    return Evaluation(int(judged.correct.sum()) / n, judged.loss / n, judged.correct)

"""The oracle of every scan: prune one group, evaluate, start over. And a scan's answers."""

import torch
from helpers.pruning import fill
from helpers.toy import split

from prunelab import meta, scores, surgery
from prunelab.data.tensors import as_split
from prunelab.groups import trace
from prunelab.sensitivity import ranking, scan
from prunelab.sensitivity.scanning import measuring
from prunelab.sensitivity.scanning.scan import prepared
from prunelab.sensitivity.scanning.store import Store
from prunelab.train.evaluation import logits_of


def differences(net, *, ratios=(0.0, 0.5), shape=(1, 6, 6), logits=None, images=None):
    """Of each row of a scan in float64: how far its loss is from the shrunk network's, relatively.

    The answers must be the same, image by image.
    """
    net = fill(net.double()).eval()
    images = images or floats(shape)
    table = scan(net, images, ratios=ratios, logits=logits, cache=False, progress=False)
    inner = meta.unwrap(net)
    x, y = images.batch(slice(0, len(images)))
    x = x.double()
    groups = trace(inner, x)
    order = ranking(inner, groups, "l1")
    for row in table.itertuples():
        keep = scores.best(order[row.group], row.kept)
        small = surgery.shrink(inner, groups, {row.group: keep})
        with torch.no_grad():
            out = logits_of("loop", small(x.clone()), logits)
        loss = torch.nn.functional.cross_entropy(out, y).item()
        assert row.correct == int((out.argmax(1) == y).sum()), row
        yield abs(row.loss - loss) / max(1, abs(loss))


def floats(shape, n=23, classes=3):
    """Own images as floats."""
    g = torch.Generator().manual_seed(2)
    return as_split((torch.randn(n, *shape, generator=g), split(n, classes=classes).labels))


def answers(net, images, *, ratios, groups=None, logits=None):
    """Of each (group, ratio) of a scan, and under "whole": correct flags in order."""
    program, _, sweeps = prepared(net, images, ratios, groups, "l1", logits)
    bench = measuring.Bench(program, sweeps, images, Store(None))
    parts = measuring.measure(bench, torch.arange(len(images)), lambda points: None)
    return {point: seen.correct for point, seen in measuring.merged(parts).items()}

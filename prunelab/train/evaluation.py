"""Evaluate: accuracy and loss of a network on a split, and which images it gets right."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prunelab import checks, meta, processes
from prunelab.data import Split
from prunelab.data.tensors import told
from prunelab.train.as_found import full_float32
from prunelab.train.fitting import check_device, check_logits, taking
from prunelab.train.memory import keep_freed

Judged = tuple[Tensor, Tensor, Tensor]  # of a batch, see `_judge`
MOST_VALUES = 2**24  # in one batch, 67 MB; the maps of a network on photographs are 20 times that


@dataclass(frozen=True)
class Evaluation:
    """What a network does on a split.

    Args:
        accuracy: fraction of right answers, in [0, 1].
        loss: mean cross-entropy, nats.
        correct: (N,) bool on the split's device, True where the top class is the label.
    """

    accuracy: float
    loss: float
    correct: Tensor = field(repr=False, compare=False)


@full_float32()
def evaluate(
    net: nn.Module, split: Split, *, batch: int | None = None, logits: str | int | None = None
) -> Evaluation:
    """Classify every image of `split` in evaluation mode; leave the training flags as they were.

    Args:
        net: (n, C, H, W) of its own floating type -> (n, classes) logits, or what holds them.
        split: at least one image, on the network's device.
        batch: images per forward pass; changes memory and time, and results only by rounding. By
            default 1000, and fewer (111) for photographs. Where several processes train, each
            takes some of these batches, all must call this, and all get the same answer.
        logits: the entry of the network's output that holds the logits, see `logits_of`.

    Raises:
        TypeError: `net` is no network, `split` no split, or the output no tensor without `logits`.
        ValueError: an empty split, another device, a bad `batch`, images that the network cannot
            take, a label that is no output of it, or logits that are not finite.
    """
    _check(net, split, batch)
    keep_freed()
    batch = batch or min(1000, max(1, MOST_VALUES // max(1, math.prod(split.images.shape[1:]))))
    with meta.in_mode(net, False), torch.inference_mode():
        parts = list(_judge(net, _own(split, batch), batch, logits))
    correct, finite, losses = zip(*_joined(parts, split))
    _check_finite(torch.cat(finite))
    right = torch.cat(correct)
    loss = torch.stack(losses).sum().item() / len(split)
    return Evaluation(right.sum().item() / len(split), loss, right)


def _check(net: nn.Module, split: Split, batch: int | None) -> None:
    checks.kind("evaluate", "net", net, nn.Module, "a Module")
    checks.kind("evaluate", "split", split, Split, "a Split, such as `data.test`")
    counted = batch is None or checks.is_count(batch)
    checks.need(counted, "evaluate", "batch", "an integer >= 1 or None", batch)
    if not len(split):
        raise ValueError("evaluate: `split` must hold at least one image; got 0")
    check_device("evaluate", net, split)


def _check_finite(finite: Tensor) -> None:
    """Refuse logits without a largest one: their class means nothing."""
    if not finite.all():
        wrong = (~finite).nonzero()[:, 0]
        raise ValueError(
            f"evaluate: the logits of `net` must be finite; they are not for {len(wrong)} of"
            f" {len(finite)} images, the first of which is number {wrong[0].item()}"
        )


def logits_of(caller: str, out: object, entry: str | int | None = None) -> Tensor:
    """The logits among what a network returns.

    Args:
        caller: named in errors.
        out: a tensor, or a mapping, tuple, list or object that holds it.
        entry: a key, a position or an attribute; None = `out` must be the tensor itself. A tensor
            is taken as it is, whatever the entry: networks such as GoogLeNet return several
            outputs in training and one in evaluation.

    Raises:
        TypeError: `entry` is needed and None, is no key, or what it names is no tensor.
        ValueError: `out` has no such entry.
    """
    if entry is not None and (isinstance(entry, bool) or not isinstance(entry, str | int)):
        raise TypeError(
            f"{caller}: `logits` must be a key, a position, an attribute or None;"
            f" got {checks.shown(entry)}"
        )
    if isinstance(out, Tensor):
        return out
    if entry is None:
        raise TypeError(
            f"{caller}: `net` must return the logits, a tensor; got {told(out)}:"
            " name the entry that holds them, as in logits='logits' or logits=0"
        )
    try:
        keyed = isinstance(out, Mapping) or isinstance(entry, int)
        found = out[entry] if keyed else getattr(out, entry)  # type: ignore[index, arg-type]
    except (LookupError, AttributeError, TypeError):
        raise ValueError(
            f"{caller}: `logits` must name an entry of what `net` returns, {told(out)};"
            f" got {checks.shown(entry)}"
        ) from None
    if not isinstance(found, Tensor):
        raise TypeError(f"{caller}: logits={entry!r} must be a tensor; got {told(found)}")
    return found


def _own(split: Split, batch: int) -> Split:
    """The batches that fall to this process, as one split: each size-th, from its rank on."""
    if processes.size() == 1:
        return split
    rows = torch.arange(len(split), device=split.device)
    return split[rows[rows // batch % processes.size() == processes.rank()]]


def _joined(parts: list[Judged], split: Split) -> list[Judged]:
    """What all processes found, batch after batch as a single one would have."""
    if processes.size() == 1:
        return parts
    found = processes.gathered([(a.cpu(), b.cpu(), c.cpu()) for a, b, c in parts])
    turns = zip_longest(*found)  # the last turn may not reach every process
    every = [part for turn in turns for part in turn if part is not None]
    return [(a.to(split.device), b.to(split.device), c.to(split.device)) for a, b, c in every]


def precise(logits: Tensor) -> Tensor:
    """The same in float32, or in float64 if they are: half precision is too coarse for a loss."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _judge(net: nn.Module, split: Split, batch: int, entry: str | int | None) -> Iterator[Judged]:
    """For each batch (n,) bool of right answers and of sound ones, and the summed cross-entropy.

    The logits of an image are sound if they have a largest one that is finite: a class may be
    excluded by -inf.
    """
    for number, (x, y) in enumerate(split.batches(batch, meta.dtype_of(net))):
        with taking("evaluate", net, x):
            out = net(x)
        found = precise(logits_of("evaluate", out, entry))
        if number == 0:
            check_logits("evaluate", found, len(y), split.labels)
        loss = cross_entropy(found, y, reduction="sum").double()
        yield found.argmax(1) == y, found.amax(1).isfinite(), loss

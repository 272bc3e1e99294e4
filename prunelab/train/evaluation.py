"""Evaluate: accuracy, loss and the right answers of a network on a split."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prunelab.data import Split
from prunelab.train.memory import keep_freed

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


def evaluate(net: nn.Module, split: Split, *, batch: int | None = None) -> Evaluation:
    """Classify every image of `split` in evaluation mode; leave the training flags as they were.

    Args:
        net: (n, C, H, W) float32 -> (n, classes) logits.
        split: at least one image, on the network's device.
        batch: images a forward pass; changes memory and time, and results only by rounding. By
            default 1000, and fewer (111) for photographs.

    Raises:
        ValueError: an empty split, another device, or a label that is no output of `net`.
    """
    if not len(split):
        raise ValueError("evaluate: `split` must hold at least one image; got 0")
    check_device("evaluate", net, split)
    keep_freed()
    batch = batch or min(1000, max(1, MOST_VALUES // math.prod(split.images.shape[1:])))
    flags = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.inference_mode():
            parts = list(_judge(net, split, batch))
    finally:
        restore(flags)
    correct = torch.cat([right for right, _ in parts])
    loss = torch.stack([loss for _, loss in parts]).sum().item() / len(split)
    return Evaluation(correct.sum().item() / len(split), loss, correct)


def restore(flags: dict[nn.Module, bool]) -> None:
    """Give each module its own training flag back; `Module.train` would also set the children."""
    for module, flag in flags.items():
        module.training = flag


def check_device(caller: str, net: nn.Module, split: Split) -> None:
    """Refuse a network whose parameters are not where the images are."""
    for name, parameter in net.named_parameters():
        if parameter.device != split.device:
            raise ValueError(
                f"{caller}: `net` must be on the data's device {split.device}; "
                f"got `{name}` on {parameter.device}"
            )


def check_logits(caller: str, logits: Tensor, images: int, labels: Tensor) -> None:
    """Refuse logits that are not (images, classes), and labels that are not among the classes."""
    if logits.dim() != 2 or len(logits) != images:
        raise ValueError(
            f"{caller}: `net` must return ({images}, classes) logits for {images} images; "
            f"got {tuple(logits.shape)}"
        )
    low, high = labels.aminmax()
    if low < 0 or high >= logits.shape[1]:
        raise ValueError(
            f"{caller}: labels must be in 0..{logits.shape[1] - 1}, the outputs of `net`; "
            f"got {low.item()}..{high.item()}"
        )


def logits_of(caller: str, out: object, entry: str | int | None = None) -> Tensor:
    """The logits among what a network returns.

    Args:
        caller: named in errors.
        out: a tensor, or a mapping, tuple, list or object that holds it.
        entry: a key, a position or an attribute; None = `out` is the tensor itself.

    Raises:
        TypeError: `entry` is needed and None, or what it names is no tensor.
        ValueError: `out` has no such entry.
    """
    if entry is None:
        if isinstance(out, Tensor):
            return out
        raise TypeError(
            f"{caller}: `net` must return the logits, a tensor; got {_described(out)}:"
            " name the entry that holds them, as in logits='logits' or logits=0"
        )
    try:
        keyed = isinstance(out, Mapping) or isinstance(entry, int)
        found = out[entry] if keyed else getattr(out, entry)  # type: ignore[index, arg-type]
    except (LookupError, AttributeError, TypeError):
        raise ValueError(
            f"{caller}: `logits` must name an entry of what `net` returns, {_described(out)};"
            f" got {entry!r}"
        ) from None
    if not isinstance(found, Tensor):
        raise TypeError(f"{caller}: logits={entry!r} must be a tensor; got {_described(found)}")
    return found


def _described(out: object) -> str:
    kind = type(out).__name__
    if isinstance(out, Mapping):
        return f"{kind} with {', '.join(map(repr, out)) or 'no entries'}"
    return f"{kind} of {len(out)} entries" if isinstance(out, tuple | list) else kind


def _judge(net: nn.Module, split: Split, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For each batch (n,) bool of right answers, and the summed cross-entropy in float64."""
    for number, (x, y) in enumerate(split.batches(batch)):
        logits = net(x)
        if number == 0:
            check_logits("evaluate", logits, len(y), split.labels)
        loss = cross_entropy(logits.float(), y, reduction="sum").double()
        yield logits.argmax(1) == y, loss

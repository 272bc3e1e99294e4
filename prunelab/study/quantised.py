"""Quantised: a network before and after quantisation, and the bytes of its files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import cost, quantisation, train
from prunelab.data import Dataset
from prunelab.quantisation.quantiser import Quantiser
from prunelab.study.work import Work, accuracy

BINS = 81  # of a histogram
REACH = 4.0  # standard deviations on either side of zero


@dataclass(frozen=True)
class Quantised:
    """Quantise a trained network, or not, and write its files.

    Attributes:
        quantiser: of `prunelab.quantisation`, or None for the network as it is.
    """

    KIND: ClassVar[str] = "quantised"

    quantiser: Quantiser | None

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Measure.

        Values: accuracy and val_accuracy; kept and size: weights and biases of layers that are not
        zero, and all; bytes: form -> those of the file that `quantisation.save` writes, read back
        and compared; histogram: how the weights of the largest layer are spread, before and after.
        """
        small = net
        if self.quantiser is not None:
            small = self.quantiser.quantise(net, data, **work.how())
        counts = cost.nonzeros(small).values()
        return {
            "accuracy": train.evaluate(small, data.test).accuracy,
            "val_accuracy": accuracy(small, data.val),
            "kept": sum(kept for kept, _ in counts),
            "size": sum(size for _, size in counts),
            "bytes": {form: written(small, form) for form in quantisation.FORMS},
            "histogram": _histogram(net, small),
        }


def written(net: nn.Module, form: str) -> int:
    """Bytes of a network's file. Errors: RuntimeError, it does not give the network back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network")
        size = quantisation.save(net, path, form)
        before, after = net.state_dict(), quantisation.load(net, path).state_dict()
        if before.keys() != after.keys() or not all(
            torch.equal(before[k], after[k]) for k in before
        ):
            raise RuntimeError(f"Quantised: the file in the form {form!r} is not the network")
        return size


def _histogram(net: nn.Module, small: nn.Module) -> dict:
    """Counts in `BINS` equal bins from -limit to limit; what lies outside is at the ends."""
    old, new = (dict(one.named_modules()) for one in (net, small))
    largest = max(cost.nonzeros(net), key=lambda name: old[name].weight.numel())
    before = old[largest].weight.detach()
    after = getattr(new[largest], "layer", new[largest]).weight.detach()
    limit = REACH * float(before.std(correction=0))

    def counts(weight: Tensor) -> list[int]:
        inside = weight.flatten().cpu().float().clamp(-limit, limit)
        return torch.histc(inside, BINS, -limit, limit).int().tolist()

    return {"layer": largest, "limit": limit, "before": counts(before), "after": counts(after)}

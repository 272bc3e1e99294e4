"""explorer(...): an explorer of a network and data, or of recordings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from prunelab import checks
from prunelab.sensitivity import Criterion
from prunelab.train import Budget
from prunelab.widgets.exploring.explorer import Explorer
from prunelab.widgets.exploring.live import RETRAIN, Live
from prunelab.widgets.exploring.recorded import NEEDED, Recorded, shipped
from prunelab.widgets.source import Ratios


def explorer(
    net: nn.Module | None = None,
    data: object = None,
    *,
    recorded: Mapping | Sequence[Mapping] | None = None,
    ratios: Ratios | None = None,
    criterion: Criterion = "l1",
    split: str = "val",
    images: int | None = None,
    train: object = None,
    retrain: Budget = RETRAIN,
    logits: str | int | None = None,
    scan: bool = True,
    groups: Iterable[str] | None = None,
) -> Explorer:
    """Pick layers, drag a ratio: a real network shrinks, and you see its accuracy.

    Args:
        net: a trained network; it is not changed. Without it, recordings answer.
        data: a Dataset; or a Split, a DataLoader of (images, labels) or a pair of tensors: floats
            as the network takes them, or uint8 that become pixel/255.
        recorded: one recording or several (see `Recorded`); None = those that are shipped.
        ratios: group name -> fraction removed at the start.
        criterion: what ranks the channels, as in `sensitivity.scan`.
        split: which images of a Dataset answer, "val" or "test".
        images: only so many, the first ones; None = all.
        train: images to fine-tune on, as `data`; a Dataset brings its own.
        retrain: how fine-tuning is done, but for its epochs.
        logits: entry of what `net` returns that holds the logits: a key, a position or an
            attribute; None = it returns the logits themselves.
        groups: names of the groups to offer, as in `sensitivity.scan`; None = all.
        scan: scan all groups in the background at once, for the curves and the solver.

    Returns:
        A widget; its parts are attributes, see `Panel`. `wait` blocks until it has answered.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: arguments that do not go together, an unknown group or option, a network without
            groups; no recording is given or shipped.
    """
    if ratios is not None:
        checks.kind("explorer", "ratios", ratios, Mapping, "a mapping, group -> fraction removed")
    checks.switch("explorer", "scan", scan)
    if net is None and data is None:
        given = shipped() if recorded is None else recorded
        recordings = checks.rows("explorer", "recorded", given, NEEDED)
        if not recordings:
            raise ValueError("explorer: `recorded` is empty; give a recording or None")
        return Explorer([Recorded(recording) for recording in recordings], ratios)
    if recorded is not None:
        raise ValueError("explorer: give `net` and `data`, or `recorded`; not both")
    if net is None or data is None:
        missing = "net" if net is None else "data"
        raise ValueError(
            f"explorer: `{missing}` is missing: give `net` and `data`, or neither for recordings"
        )
    live = Live(
        net, data, criterion=criterion, split=split, images=images, train=train, retrain=retrain,
        logits=logits, groups=groups,
    )  # fmt: skip
    return Explorer([live], ratios, scan)

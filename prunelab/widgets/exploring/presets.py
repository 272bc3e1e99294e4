"""Presets: PFEC's pruned networks A and B as a rule for any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from prunelab.groups import Groups

STAGES_B = (0.6, 0.3, 0.1)  # of the first stages; later ones as the last


def pfec(groups: Groups, rows: Sequence[Mapping]) -> dict[str, dict[str, float]]:
    """Label -> group name -> fraction of the filters removed, as the paper chose them by hand.

    In residual networks the first convolutions of the blocks, but of the first block of each later
    stage and of the very last block: A 10% each, B 60%, 30% and 10% by stage. In plain networks A
    is half of the first convolution and of all those with the two smallest maps; there is no B.

    Args:
        groups: of the network.
        rows: the network, as `groups.diagram` gives.

    Returns:
        "PFEC A" and "PFEC B" as far as the rule names any group.

    Source: PFEC, sections 4.1 to 4.3. On VGG-16 the rule gives exactly the paper's A.
    Differs: elsewhere it is by analogy. The paper skips some further layers by name: in ResNet-56 A
        also layer 16, in B also 16, 18 and 34; its ResNet-110 and ResNet-34 have other rates.
    """
    firsts = groups.first_convolutions()
    found = _residual(firsts) if firsts else {"PFEC A": _plain(rows)}
    return {label: ratios for label, ratios in found.items() if ratios}


def _residual(firsts: Groups) -> dict[str, dict[str, float]]:
    """A stage is a run of blocks of one width."""
    stages = [list(run) for _, run in groupby(firsts, lambda name: firsts[name].size)]
    skipped = {stage[0] for stage in stages[1:]} | {stages[-1][-1]}
    a, b = {}, {}
    for number, stage in enumerate(stages):
        for name in stage:
            if name not in skipped:
                a[name], b[name] = 0.1, STAGES_B[min(number, len(STAGES_B) - 1)]
    return {"PFEC A": a, "PFEC B": b}


def _plain(rows: Sequence[Mapping]) -> dict[str, float]:
    convolutions = [row for row in rows if row["kind"] == "conv"]
    maps = [tuple(row["out"][1:]) for row in convolutions]
    smallest = list(dict.fromkeys(maps))[-2:]
    chosen = [
        row["writes"]
        for number, (row, size) in enumerate(zip(convolutions, maps))
        if number == 0 or size in smallest
    ]
    return {name: 0.5 for name in chosen if name is not None}

"""Layers that trade channels for pixels, shuffle channels, or put pixels where another map says."""

from __future__ import annotations

import numpy as np

from prunelab.groups.labels import Op, along, fix, spread, thin
from prunelab.groups.rules import across, batched, counts, kind, unknown

# A channel stands on axis 1 of an input with so many axes.
AXES = {"Fold": 3, "fold": 3}


def blocks(op: Op) -> object:
    """Pixel shuffle, fold, and their inverses: k positions in a row become one channel, or back."""
    atoms = along(op.x.labels, 1)
    if atoms is None or op.x.meta.ndim != AXES.get(kind(op), 4):
        return fix(op, f"`{op.node.name}` ({kind(op)}) mixes its channels with positions")
    new = op.out.shape[1]
    if new >= len(atoms):
        return spread(np.repeat(atoms, new // len(atoms)), 1, op.out.shape)
    unit = atoms.reshape(new, -1)
    op.evidence.unite(unit[:, :1], unit)
    return spread(unit[:, 0], 1, op.out.shape)


def shuffle(op: Op) -> object:
    """Channel shuffle: the i-th channel of every part goes with the i-th of the others."""
    atoms = along(op.x.labels, 1)
    named = op.kwargs.get("groups", (*op.args, None)[1])
    parts = named if op.module is None else op.module.groups
    if atoms is None or not isinstance(parts, int):
        return fix(op, f"`{op.node.name}` ({kind(op)}) mixes its channels with positions")
    rows = atoms.reshape(parts, -1)
    op.evidence.unite(rows[:1], rows)
    return spread(rows.T.ravel(), 1, op.out.shape)


def unpool(op: Op) -> object:
    """Max unpooling: each channel with the positions that were found in it."""
    if len(op.tracked) != 2:
        return unknown(op)
    x, found = (along(t.labels, 1) for t in op.tracked)
    if x is None or found is None or not batched(op):
        return fix(op, f"`{op.node.name}` ({kind(op)}) mixes its channels with positions")
    op.evidence.unite(x, found)
    return spread(x, 1, op.out.shape)


def sample(op: Op) -> object:
    """grid_sample: pixels of one map, at the positions that another one holds."""
    atoms = along(op.x.labels, 1)
    if op.x is not op.args[0] or atoms is None or counts(op):
        return across(op)
    for grid in op.tracked[1:]:
        op.evidence.fix(thin(grid.labels).numpy(), f"`{op.node.name}` reads it as positions")
    return spread(atoms, 1, op.out.shape)

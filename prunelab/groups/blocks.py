"""Layers that trade channels for pixels, shuffle channels, or put pixels where another map says."""

from __future__ import annotations

import numpy as np

from prunelab.groups.labels import along, atoms_in, spread
from prunelab.groups.operation import Op
from prunelab.groups.rules import across, batched, mixed, unknown

# A channel stands on axis 1 of an input with so many axes.
AXES = {"Fold": 3, "fold": 3}


def blocks(op: Op) -> object:
    """Pixel shuffle, fold, and their inverses: k positions in a row become one channel, or back."""
    atoms = op.channels()
    if atoms is None or op.x.meta.ndim != AXES.get(op.kind, 4):
        return mixed(op)
    new = op.out.shape[1]
    if new >= len(atoms):
        return spread(np.repeat(atoms, new // len(atoms)), 1, op.out.shape)
    unit = atoms.reshape(new, -1)
    op.evidence.unite(unit[:, :1], unit)
    return spread(unit[:, 0], 1, op.out.shape)


def shuffle(op: Op) -> object:
    """Channel shuffle: the i-th channel of every part goes with the i-th of the others."""
    atoms = op.channels()
    parts = op.argument("groups", 1) if op.module is None else op.module.groups
    if atoms is None or not isinstance(parts, int):
        return mixed(op)
    rows = atoms.reshape(parts, -1)
    op.evidence.unite(rows[:1], rows)
    return spread(rows.T.ravel(), 1, op.out.shape)


def unpool(op: Op) -> object:
    """Max unpooling: each channel with the positions that were found in it."""
    if len(op.tracked) != 2:
        return unknown(op)
    x, found = (along(t.labels, 1) for t in op.tracked)
    if x is None or found is None or not batched(op):
        return mixed(op)
    op.evidence.unite(x, found)
    return spread(x, 1, op.out.shape)


def sample(op: Op) -> object:
    """grid_sample: pixels of one map, at the positions that another one holds."""
    atoms = op.channels()
    if op.x is not op.args[0] or atoms is None or op.counts:
        return across(op)
    for grid in op.tracked[1:]:
        op.evidence.fix(atoms_in(grid.labels), op.told(f"{op.call} reads it as positions"))
    return spread(atoms, 1, op.out.shape)

"""Evidence: what tracing learned about channels, and the groups that follow from it.

Every output channel of every layer is an *atom*, an integer. While the network is followed, atoms
are united (an addition makes two channels live and die together), fixed (with a reason) and seen at
*sites* (axes of parameters and buffers). `Evidence.groups` turns this into `Groups`: connected
components of atoms are channels, and channels seen at the same sites form a group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from prunelab.groups.group import IN, OUT, WIDTH, Group, Groups, Slice
from prunelab.groups.residual import Site, residual_roles


class Evidence:
    """Atoms, and what is known of them."""

    def __init__(self) -> None:
        self.count = 0
        self.sites: dict[tuple[str, int], Site] = {}
        self.reasons: list[tuple[np.ndarray, str]] = []
        self.refused: dict[str, str] = {}
        self.added: list[np.ndarray] = []
        self.touched: set[tuple[str, int]] = set()
        self._whole: dict[tuple[str, int], str] = {}
        self._pairs: list[np.ndarray] = []
        self._named: dict[object, np.ndarray] = {}
        self._members: tuple[np.ndarray, np.ndarray, dict[int, str]] | None = None

    def atoms(self, key: object, n: int) -> np.ndarray:
        """(n,) atoms; the same key gives the same ones: a layer that runs twice writes one set."""
        if key not in self._named:
            self._named[key] = np.arange(self.count, self.count + n)
            self.count += n
        return self._named[key]

    def unite(self, a: np.ndarray, b: np.ndarray) -> None:
        """a[i] and b[i] live and die together."""
        a, b = np.broadcast_arrays(a, b)
        self._pairs.append(np.stack([a.ravel(), b.ravel()]))

    def fix(self, atoms: np.ndarray, reason: str) -> None:
        """These atoms can never be removed; the first reason given is the one shown."""
        self.reasons.append((np.unique(atoms), reason))

    def refuse(self, layer: str, reason: str) -> None:
        """`layer` writes channels that nothing is known of."""
        self.refused.setdefault(layer, reason)

    def see(self, tensor: str, axis: int, role: str, atoms: np.ndarray) -> None:
        """Axis `axis` of `tensor` carries `atoms`."""
        self.touched.add((tensor, axis))
        if (tensor, axis) in self.sites:
            self.unite(self.sites[tensor, axis].atoms, atoms)
        else:
            self.sites[tensor, axis] = Site(tensor, axis, role, np.asarray(atoms))

    def whole(self, tensor: str, axis: int, reason: str) -> None:
        """Something reads `tensor` that needs all of `axis`: whatever channels stand there stay."""
        self._whole.setdefault((tensor, axis), reason)

    def groups(self, reads: Mapping[str, int]) -> Groups:
        """The prunable groups, and for the rest the reasons; `reads` as in `Groups`."""
        for place, reason in self._whole.items():
            if place in self.sites:
                self.fix(self.sites[place].atoms, reason)
        channel = self._channels()
        fixed = {}
        for atoms, reason in self.reasons:
            for c in np.unique(channel[atoms]):
                fixed.setdefault(int(c), reason)
        sites = [Site(s.tensor, s.axis, s.role, channel[s.atoms]) for s in self.sites.values()]
        kind = _kinds(sites, channel.max(initial=-1) + 1)
        kind[list(fixed)] = -1
        groups, ragged, order, names = _assemble(sites, kind)
        self._members = kind[channel], order[channel], names
        shown = _reasons(sites, lambda c: fixed.get(c) or ragged.get(int(kind[c])))
        added = set(channel[np.concatenate(self.added)].tolist()) if self.added else set()
        names = {g.name for g in groups}
        return Groups(
            groups,
            {k: v for k, v in (shown | self.refused).items() if k not in names},
            **(residual_roles(sites, added) if added else {}),
            reads=reads,
        )

    def carried(self, group: str, atoms: np.ndarray) -> np.ndarray:
        """(n,) the channel of `group` that each atom is, or -1. After `groups`."""
        kind, order, names = self._members
        kinds = [k for k, name in names.items() if name == group]
        return np.where(np.isin(kind[atoms], kinds), order[atoms], -1)

    def _channels(self) -> np.ndarray:
        """(count,) the connected component of each atom."""
        if not self._pairs:
            return np.arange(self.count)
        a, b = np.concatenate(self._pairs, axis=1)
        graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(self.count, self.count))
        return connected_components(graph, directed=False)[1].astype(np.int64)


def _reasons(sites: list[Site], why: Callable[[int], str | None]) -> dict[str, str]:
    """Layer -> why it is not offered: every layer that writes; others only where none writes."""
    written = {c for s in sites if s.role == OUT for c in s.atoms.tolist()}
    shown: dict[str, str] = {}
    for site in sites:
        if site.role != IN and site.layer not in shown:
            channels = dict.fromkeys(site.atoms.tolist())
            own = (c for c in channels if site.role == OUT or c not in written)
            if reason := next(filter(None, map(why, own)), None):
                shown[site.layer] = reason
    return shown


def _kinds(sites: list[Site], channels: int) -> np.ndarray:
    """(channels,) an id per channel: equal ids were seen equally often at the same sites.

    Each site adds a random 64-bit number per sighting; equal sums mean equal sightings.
    """
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 2**63, size=len(sites), dtype=np.uint64)
    total = np.zeros(channels, np.uint64)
    for site, w in zip(sites, weight):
        np.add.at(total, site.atoms, w)
    return np.unique(total, return_inverse=True)[1].reshape(-1)


def _assemble(
    sites: list[Site], kind: np.ndarray
) -> tuple[list[Group], dict[int, str], np.ndarray, dict[int, str]]:
    """Groups of the free kinds, and kind -> reason for those that cannot be written as slices.

    Then the place of each channel in its group, and kind -> name of the group.
    """
    order, size, writer = _ordered(sites, kind)
    slices: dict[int, list[Slice]] = {k: [] for k in size}
    ragged: dict[int, str] = {k: "it is a single unit" for k, n in size.items() if n < 2}
    for site in sites:
        for k, start, run in _runs(kind[site.atoms], order[site.atoms]):
            repeat = len(run) // size[k]
            if np.array_equal(run, np.repeat(np.arange(size[k]), repeat)):
                slices[k].append(Slice(site.tensor, site.axis, repeat, start, site.role))
            else:
                ragged[k] = f"its channels are interleaved with others in `{site.tensor}`"
    groups, names = [], {}
    for k, found in slices.items():
        if not any(s.role == OUT for s in found):
            ragged.setdefault(k, "no layer writes it")
        if k in ragged:
            continue
        name = writer[k]
        if name in names.values():  # two groups written by one layer: halves of a chunk
            name = f"{name}[{found[0].offset}:]"
        widths = tuple(s for s in found if s.role == WIDTH)
        groups.append(Group(name, size[k], tuple(s for s in found if s.role != WIDTH), widths))
        names[k] = name
    return groups, ragged, order, names


def _ordered(
    sites: list[Site], kind: np.ndarray
) -> tuple[np.ndarray, dict[int, int], dict[int, str]]:
    """The place of each channel in its group, as first written; kind -> size, and first writer."""
    sites = sorted(sites, key=lambda s: s.role != OUT)
    channels = np.concatenate([np.zeros(0, np.int64), *(s.atoms for s in sites)])
    layers = [s.layer for s in sites for _ in s.atoms]
    seen = pd.DataFrame({"channel": channels, "layer": layers}).drop_duplicates("channel")
    seen = seen[kind[seen.channel] >= 0]
    by_kind = seen.groupby(kind[seen.channel], sort=False)
    order = np.full(len(kind), -1)
    order[seen.channel] = by_kind.cumcount()
    return order, by_kind.size().to_dict(), by_kind.layer.first().to_dict()


def _runs(kinds: np.ndarray, order: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """Maximal runs of one kind whose order never falls: (kind, start, order by position)."""
    cuts = np.flatnonzero((np.diff(kinds) != 0) | (np.diff(order) < 0)) + 1
    edges = [0, *cuts.tolist(), len(kinds)]
    spans = [(a, b) for a, b in zip(edges, edges[1:]) if b > a and kinds[a] >= 0]
    return [(int(kinds[a]), a, order[a:b]) for a, b in spans]

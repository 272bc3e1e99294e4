"""Slice, Group, Groups: the channels that live and die together, as data that prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from prunelab import checks

INPUTS = ".inputs"  # after a layer's name: what it reads
OUT, IN, THROUGH, SELECT = "out", "in", "through", "select"
AXES = ("slices", "widths")  # fields of a group
WIDTH = "width"  # of a layer that has no tensor: an attribute counts its channels


@dataclass(frozen=True)
class Slice:
    """One axis of one tensor that carries the channels of a group.

    Channel `i` of the group sits at positions `offset + i * repeat` to
    `offset + (i + 1) * repeat - 1` of axis `axis` of the parameter or buffer `tensor`.

    Attributes:
        tensor: name in the network's state dict.
        axis: axis of that tensor.
        repeat: positions per channel: pixels after a flatten, channels of one convolution group.
        offset: first position: after a concatenation, the sum of what stands before.
        role: "out" (a filter writes the channel), "in" (a layer reads it), "through" (batch
            norm, depthwise convolution and the like: one entry per channel on the way) or "select"
            (a layer picks some of what arrives; who writes it writes it all the same).
    """

    tensor: str
    axis: int
    repeat: int = 1
    offset: int = 0
    role: str = THROUGH

    @property
    def layer(self) -> str:
        """Name of the module that owns the tensor."""
        return self.tensor.rpartition(".")[0] or self.tensor


@dataclass(frozen=True)
class Group:
    """Channels that can only be removed together, and every place they appear in.

    Attributes:
        name: the layer that writes the channels first, e.g. "layer1.0.conv1".
        size: number of channels (of units, where a grouped convolution ties several channels).
        slices: all tensor axes that carry them.
        widths: attributes that count them where no tensor does: `tensor` names the attribute
            (`norm.num_features` of a norm without scale and statistics), the rest is as in slices.
    """

    name: str
    size: int
    slices: tuple[Slice, ...]
    widths: tuple[Slice, ...] = ()

    @property
    def producers(self) -> tuple[str, ...]:
        """Layers whose filters write these channels, in order of execution."""
        return tuple(dict.fromkeys(s.layer for s in self.slices if s.role == OUT))

    @property
    def consumers(self) -> tuple[str, ...]:
        """Layers that read these channels, in order of execution."""
        return tuple(dict.fromkeys(s.layer for s in self.slices if s.role == IN))

    def __str__(self) -> str:
        width = max(len(s.tensor) for s in self.slices)
        head = f"{self.name}: {self.size} channels, {len(self.slices)} slices"
        lines = [
            f"  {s.tensor:<{width}}  axis {s.axis}  repeat {s.repeat:<3}"
            f" offset {s.offset:<5} {s.role}"
            for s in self.slices
        ]
        return "\n".join([head, *lines])


class Groups(Mapping[str, Group]):
    """The prunable groups of one network, by name, in order of execution.

    `groups["fc1.inputs"]` is a view that is not iterated over: what `fc1` reads, entry by entry,
    whoever writes it. When it is pruned, the layer gets an index of the entries that it picks.

    Attributes:
        fixed: layer name -> why its output channels are not offered for pruning.
        writers: layers whose output is added to another activation (they write to a stream).
        shortcuts: the projections, writers beside which a block leads to the same addition.
        entries: layers that read a stream and lead to an addition: a block begins with them.
        reads: layer -> how many entries it reads: input features, or input channels.
    """

    def __init__(
        self,
        groups: Iterable[Group],
        fixed: Mapping[str, str] | None = None,
        writers: Iterable[str] = (),
        shortcuts: Iterable[str] = (),
        entries: Iterable[str] = (),
        reads: Mapping[str, int] | None = None,
    ):
        groups = checks.listed("Groups", "groups", groups, Group, "a list of `Group`s")
        for name, names in (("writers", writers), ("shortcuts", shortcuts), ("entries", entries)):
            checks.listed("Groups", name, names, str, "a list of names")
        for name, mapping in (("fixed", fixed), ("reads", reads)):
            checks.kind("Groups", name, {} if mapping is None else mapping, Mapping, "a mapping")
        self._groups = {group.name: group for group in groups}
        self.fixed = dict(fixed or {})
        self.writers = frozenset(writers)
        self.shortcuts = frozenset(shortcuts)
        self.entries = frozenset(entries)
        self.reads = dict(reads or {})

    def __getitem__(self, name: str) -> Group:
        if not isinstance(name, str):
            raise ValueError(f"groups: a group is named by a string, got {repr(name)[:60]}")
        layer = name.removesuffix(INPUTS)
        if layer != name and layer in self.reads:
            return Group(name, self.reads[layer], (Slice(f"{layer}.weight", 1, role=SELECT),))
        if name not in self._groups:
            raise ValueError(f"groups: {self._unknown(name)}")
        return self._groups[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def check(self, caller: str, net: nn.Module) -> None:
        """ValueError unless `net` has every tensor that the groups name."""
        known = {name for name, _ in [*net.named_parameters(), *net.named_buffers()]}
        for s in (s for group in self.values() for s in group.slices):
            if s.tensor not in known:
                raise ValueError(
                    f"{caller}: `groups` must be those of `net`, and `net`"
                    f" ({type(net).__name__}) has no tensor `{s.tensor}`"
                )

    def _unknown(self, name: str) -> str:
        if name in self.fixed:
            return f"`{name}` cannot be pruned: {self.fixed[name]}"
        shown = " ".join(str(name).split())
        return f"no group `{shown}`; groups are {', '.join(self._groups) or 'none'}"

    def select(self, names: Iterable[str]) -> Groups:
        """Only the groups named, in order of execution. ValueError on a name that is no group."""
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise ValueError(f"groups: `names` must be names of groups, got {repr(names)[:60]}")
        chosen = set(names)
        for name in chosen - set(self._groups):
            raise ValueError(f"groups: {self._unknown(name)}")
        kept = [group for name, group in self.items() if name in chosen]
        return Groups(kept, **self._views())

    def _views(self) -> dict[str, Any]:
        """All but the groups themselves, by the names that `Groups` takes."""
        return {name: value for name, value in vars(self).items() if name != "_groups"}

    def first_convolutions(self) -> Groups:
        """What the first layers of residual blocks write: PFEC prunes these in its A and B models.

        The streams stay untouched, and so do the later layers of bottleneck blocks.

        Source: PFEC, section 3.4.
        """
        return self.select(
            name
            for name, group in self.items()
            if self.entries & set(group.producers) and not self.writers & set(group.producers)
        )

    def inner(self) -> Groups:
        """Groups that no residual stream carries, with the later layers of bottleneck blocks.

        What a projection reads is a stream too, such as the first convolution of a ResNet-50.

        Source: ThiNet, section 3.3; Zhuang et al. 2018 (papers/dcp.md section 6).
        """
        return self.select(
            name
            for name, group in self.items()
            if not self.writers & set(group.producers) and not self.shortcuts & set(group.consumers)
        )

    def __str__(self) -> str:
        parts = [str(group) for group in self.values()]
        if self.fixed:
            parts.append("fixed:\n" + "\n".join(f"  {k}: {v}" for k, v in self.fixed.items()))
        return "\n".join(parts)

    __repr__ = __str__

    def to_json(self) -> str:
        """The groups as JSON text."""
        groups = [asdict(group) for group in self.values()]
        for group in groups:
            if not group["widths"]:  # as before there were such
                del group["widths"]
        views = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in self._views().items()}
        return json.dumps({"groups": groups} | views)

    @classmethod
    def from_json(cls, text: str) -> Groups:
        """The inverse of `to_json`.

        Raises:
            ValueError: `text` is not what `to_json` writes.
        """
        try:
            raw = json.loads(text)
            groups = [
                Group(**g | {k: tuple(Slice(**s) for s in g.get(k, ())) for k in AXES})
                for g in raw.pop("groups")
            ]
            return cls(groups, **raw)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"groups: `text` must be written by to_json, got {repr(text)[:60]}"
            ) from error

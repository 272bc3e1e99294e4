"""Recipe: everything that decides a measured number, as plain data with a key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from prunelab import checks

if TYPE_CHECKING:  # the command line reads the presets without waiting for torch
    from prunelab.train import Budget

IMAGENET = "imagefolder:imagenet"  # the folder `imagenet` of a data root; nothing downloads it
PRESETS = ("smoke", "quick", "standard", "paper")
# Which seeds a preset measures: enough for a spread where numbers are compared.
SEEDS = {"smoke": (0,), "quick": (0,), "standard": (0, 1, 2), "paper": (0, 1, 2)}


@dataclass(frozen=True)
class Recipe:
    """One measurement: a task on a network trained on data under a budget with a seed.

    Attributes:
        stem: the paper it belongs to; names the ledger file.
        preset: smoke, quick, standard or paper; part of the key, so that a smoke number can never
            pass for a result.
        label: what tables call it; not part of the key.
        task: what is measured, from `prunelab.study.tasks`.
        model: a name of `prunelab.models.build`.
        data: a name of `prunelab.data.load`, or None if the task only counts.
        budget: how the network is trained before the task, or None if it is not.
        seed: of initialisation, training and method.
        version: raised when the meaning of a field changes.

    Raises:
        ValueError: an unknown preset, a stem that is no name, or a seed that is none.
    """

    KIND: ClassVar[str] = "recipe"

    stem: str
    preset: str
    label: str
    task: Any
    model: str
    data: str | None = None
    budget: Budget | None = None
    seed: int = 0
    version: int = 1

    def __post_init__(self) -> None:
        check_preset(self.preset)
        check_stem("recipe", self.stem)
        checks.count("recipe", "seed", self.seed, 0)

    @property
    def key(self) -> str:
        """12 hex digits over all fields but the label."""
        short = plain(self, whole=False)
        return digest({name: value for name, value in short.items() if name != "label"})

    @property
    def trained_key(self) -> str:
        """12 hex digits over what decides the trained network, shared by all its tasks."""
        return digest([self.model, self.data, self.budget, self.seed, self.version])


def check_preset(preset: str) -> str:
    """`preset` itself, or a ValueError with the names."""
    checks.word("recipe", "preset", preset, PRESETS)
    return preset


def check_stem(caller: str, stem: str) -> str:
    """`stem` itself, or a ValueError: it names a file, and must be a name in Python."""
    named = isinstance(stem, str) and stem.isidentifier()
    checks.need(named, caller, "stem", "a name, as `filter_norm`", stem)
    return stem


def plain(value: Any, whole: bool = True) -> Any:
    """Dataclasses, mappings and tuples as JSON data; a dataclass says its `KIND`.

    Args:
        value: what a recipe is made of.
        whole: with the fields that stand at their default. A key leaves them out, so that a field
            that is added later moves no key.

    Raises:
        TypeError: a dataclass without a `KIND` of its own.
    """
    if dataclasses.is_dataclass(value):
        shown = [f for f in dataclasses.fields(value) if whole or not _at_default(f, value)]
        fields = {f.name: plain(getattr(value, f.name), whole) for f in shown}
        return {"kind": kind(value), **fields}
    if isinstance(value, Mapping):
        return {str(k): plain(v, whole) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, whole) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 2.0 and 2 are the same setting
    return value


def kind(value: Any) -> str:
    """The stable name of a dataclass, which outlives the class's own. TypeError: it has none."""
    found = vars(type(value)).get("KIND")  # not a parent's
    if found is None:
        raise TypeError(f"recipe: {type(value).__name__} must have a `KIND` of its own")
    return found


def _at_default(f: dataclasses.Field, value: Any) -> bool:
    if f.default_factory is not dataclasses.MISSING:
        return getattr(value, f.name) == f.default_factory()
    return f.default is not dataclasses.MISSING and getattr(value, f.name) == f.default


def digest(value: Any) -> str:
    """12 hex digits of the SHA-256 of the canonical JSON of `value`, defaults left out."""
    short = plain(value, whole=False)
    text = json.dumps(short, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

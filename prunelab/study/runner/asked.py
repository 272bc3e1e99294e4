"""The `-p` parameters of a run: read, and checked; each error is one line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from prunelab.checks import is_count, shown
from prunelab.study.runner.notebook import literal

PLAIN = "a number, text, True, False, None, or a list or dict of these"


def parameters(texts: Sequence[str]) -> dict[str, Any]:
    """Names and values of NAME=VALUE texts. A value that is no Python literal is a string.

    Raises:
        ValueError: no such form, or a name twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"run: `-p` must be NAME=VALUE; got {shown(text)}")
        if name in found:
            raise ValueError(f"run: `-p` must name each parameter once; got {name} again")
        found[name] = literal(value)
    return found


def checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a notebook can hold them: tuples become lists, SEEDS a list of seeds.

    Raises:
        ValueError: a value of another kind, no seeds, or a parameter that an option sets.
    """
    for name, option in (("PRESET", "--preset"), ("REFRESH", "--refresh")):
        if name in parameters:
            raise ValueError(f"run: {name} is set by `{option}`, not by `-p`")
    found = {}
    for name, value in parameters.items():
        try:
            found[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            raise ValueError(f"run: `-p {name}=` must be {PLAIN}; got {shown(value)}") from None
    if "SEEDS" in found:
        found["SEEDS"] = _seeds(found["SEEDS"])
    return found


def _seeds(value: Any) -> list[int]:
    seeds = value if isinstance(value, list) else [value]
    if not seeds or not all(is_count(seed, 0) for seed in seeds):
        raise ValueError(
            f"run: SEEDS must be one or more integers >= 0, as in SEEDS=0,1; got {shown(value)}"
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"run: SEEDS must not repeat; got {shown(value)}")
    return seeds

"""Checks of the numbers and `-p` parameters of a run; each error is one line."""

from __future__ import annotations

import ast
import math
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from prunelab import checks
from prunelab.checks import is_count, is_number

WEEK = 7 * 24 * 3600.0
LONGEST = 10_000  # characters of a value
LARGEST = 2**63 - 1  # of an integer: what torch takes as a seed, and any notebook as a number
PLAIN = "a number, text, True, False, None, or a list or dict of these"


def parameters(texts: Sequence[str]) -> dict[str, Any]:
    """Names and values of NAME=VALUE texts. A value that is no Python literal is a string.

    Raises:
        ValueError: no such form, a name twice, or a value that cannot be read.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"run: `-p` must be NAME=VALUE; got {shown(text)}")
        if name in found:
            raise ValueError(f"run: `-p` must name each parameter once; got {name} again")
        found[name] = _literal(name, value)
    return found


def _literal(name: str, text: str) -> Any:
    refused = f"run: `-p {name}=` must be {PLAIN}; got {shown(text)}"
    if len(text) > LONGEST:
        raise ValueError(f"{refused}, {len(text):,} characters of at most {LONGEST:,}")
    nested = False
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in strings
            return ast.literal_eval(text)
    except (RecursionError, MemoryError):
        nested = True
    except SyntaxError as error:
        nested = "too many nested" in str(error)
    except ValueError:  # an expression, as in 2*3
        pass
    if nested:
        raise ValueError(f"{refused}, which is nested too deeply")
    if text.strip("+- ").replace("_", "").isdecimal():  # beyond the digits that Python reads
        raise ValueError(f"{refused}, which is too large")
    return text


def checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a notebook can hold them: tuples become lists, SEEDS a list of seeds.

    Raises:
        ValueError: a value of another kind, no seeds, or a parameter that an option sets.
    """
    for name, option in (("PRESET", "--preset"), ("REFRESH", "--refresh")):
        if name in parameters:
            raise ValueError(f"run: {name} is set by `{option}`, not by `-p`")
    found = {name: _plain(name, value) for name, value in parameters.items()}
    if "SEEDS" in found:
        found["SEEDS"] = _seeds(found["SEEDS"])
    return found


def _plain(name: str, value: Any, depth: int = 0) -> Any:
    if isinstance(value, list | tuple) and depth < 20:
        return [_plain(name, entry, depth + 1) for entry in value]
    if isinstance(value, dict) and depth < 20 and all(isinstance(key, str) for key in value):
        return {key: _plain(name, entry, depth + 1) for key, entry in value.items()}
    small = is_number(value) and abs(value) <= (LARGEST if isinstance(value, int) else math.inf)
    text = isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if value is None or isinstance(value, bool) or small or text:
        return value
    raise ValueError(
        f"run: `-p {name}=` must be {PLAIN}, numbers finite and integers below 2**63; "
        f"got {shown(value)}"
    )


def _seeds(value: Any) -> list[int]:
    seeds = value if isinstance(value, list) else [value]
    if not seeds or not all(is_count(seed, 0) for seed in seeds):
        raise ValueError(
            f"run: SEEDS must be one or more integers >= 0, as in SEEDS=0,1; got {shown(value)}"
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"run: SEEDS must not repeat; got {shown(value)}")
    return seeds


def workers(value: int, notebooks: int) -> int:
    """Number of notebooks that run at once: at most four per core, or the whole series."""
    most = max(4 * (os.cpu_count() or 1), notebooks)
    checks.need(checks.is_count(value), "run", "workers", "at least 1", value)
    checks.need(value <= most, "run", "workers", f"at most {most} on this machine", value)
    return value


def limit(value: float) -> float:
    """Seconds without progress: above 0, at most a week."""
    allowed = f"above 0 seconds and at most {WEEK:.0f}, a week"
    checks.number("run", "limit", value, allowed, lambda seconds: 0 < seconds <= WEEK)
    return value


def shown(value: object) -> str:
    """A value for a message, also if it has more digits than Python converts to text."""
    try:
        return checks.shown(value)
    except ValueError:
        return f"a value with an integer of more than {sys.get_int_max_str_digits():,} digits"

"""Wrong values, and how a refusal is told from an accident."""

import linecache
import re
import traceback
import warnings
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import prunelab

PACKAGE = str(Path(prunelab.__file__).parent)
OWN = (ValueError, TypeError, FileNotFoundError, OSError)
WRONG = {
    "None": None, "True": True, "-1": -1, "5": 5, "2.5": 2.5, "huge": 10**30, "nan": float("nan"),
    "inf": float("inf"), "word": "x", "empty word": "", "lines": "a\nb", "bytes": b"x",
    "list": [], "list of words": ["x", "x"], "list of None": [None], "mapping": {},
    "mapping of words": {"x": "y"}, "mapping of numbers": {5: 7}, "object": object(),
    "class": nn.ReLU, "function": len, "module": nn.ReLU(), "network": nn.Linear(5, 2),
    "scalar": torch.tensor(1.0), "tensor": torch.zeros(3, 5, 2), "flags": torch.ones(7) > 0,
    "no entries": torch.zeros(0, 4), "whole numbers": torch.ones(2, 3, dtype=torch.int64),
    "frame": pd.DataFrame({"a": [1]}), "empty frame": pd.DataFrame(),
}  # fmt: skip


def accident(error, caller, argument):
    """What is wrong with a refusal; empty if it is the project's own, in one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    line = linecache.getline(last.filename, last.lineno).strip()
    text = str(error)
    raised = last.filename.startswith(PACKAGE) and line.startswith("raise ")
    if type(error) not in OWN or not raised:
        return f"{type(error).__name__}: {text[:110]!r} at {Path(last.filename).name}: {line[:70]}"
    if "\n" in text or len(text) > 400:
        return f"not one line: {text[:110]!r}"
    argument = {"data": "(data|example)"}.get(argument, argument)  # an example batch is data too
    named = re.search(rf"\b{argument}", text, re.IGNORECASE) or text.startswith(f"{caller}:")
    return "" if named else f"names neither {caller} nor {argument}: {text[:110]!r}"


def state(arguments):
    """What a refused call must leave as it was: networks, and torch's generator."""
    nets = [v for v in arguments.values() if isinstance(v, nn.Module)]
    tensors = [t.clone() for net in nets for t in net.state_dict().values()]
    flags = [(m.training, sorted(vars(m))) for net in nets for m in net.modules()]
    hooks = [
        len(v)
        for n in nets
        for m in n.modules()
        for k, v in vars(m).items()
        if k.endswith("_hooks")
    ]
    return tensors, [flags, hooks, torch.get_rng_state().tolist()[:16], sorted(Path().rglob("*"))]


def fault(function, caller, make, argument, kind):
    """What is wrong with how a function takes one wrong value; empty if it is refused or taken."""
    arguments = make()
    before, others = state({k: v for k, v in arguments.items() if k != argument})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(**(arguments | {argument: WRONG[kind]}))
    except Exception as error:
        found = accident(error, caller, argument)
        after, rest = state({k: v for k, v in arguments.items() if k != argument})
        same = others == rest and all(map(torch.equal, before, after))
        if (argument, kind) == ("after_step", "function"):  # `len` fails after the first step
            same = True
        return found or ("" if same else "the state is another after the refusal")
    return ""

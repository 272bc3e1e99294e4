"""The arguments of `fit`: each is checked once, before anything is changed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from tqdm import tqdm

from prunelab import checks
from prunelab.data import Dataset, Split
from prunelab.train.budget import Budget
from prunelab.train.fitting import check_device


def check_data(net: nn.Module, data: Dataset, budget: Budget) -> None:
    """TypeError or ValueError unless network, data and budget fit together."""
    checks.kind("fit", "net", net, nn.Module, "a Module")
    checks.kind("fit", "data", data, Dataset, "a Dataset")
    checks.kind("fit", "budget", budget, Budget, "a Budget")
    if len(data.train) < 2:
        raise ValueError(f"fit: `data.train` must hold at least 2 images; got {len(data.train)}")
    if budget.augment != "none" and len(data.train.images.shape) != 4:
        shape = tuple(data.train.images.shape)
        raise ValueError(f"fit: augment={budget.augment!r} needs images (N, C, H, W); got {shape}")
    if not any(p.requires_grad for p in net.parameters()):
        raise ValueError("fit: `net` must have a parameter that requires a gradient; got none")
    check_device("fit", net, data.train)


def check_options(
    loss: object,
    features: object,
    penalty: object,
    after_step: object,
    seed: object,
    progress: object,
    checkpoint: object,
) -> None:
    """TypeError or ValueError unless the options of `fit` are of the right kinds."""
    checks.count("fit", "seed", seed, 0)
    checks.kind("fit", "progress", progress, (bool, tqdm), "True, False or a tqdm bar")
    if loss is not None:
        takes = ("logits", "labels", "features")[: 3 if features else 2]
        checks.function("fit", "loss", loss, *takes, module=True)
    if penalty is not None:
        checks.function("fit", "penalty", penalty, module=True)
    if after_step is not None:
        checks.function("fit", "after_step", after_step, "step")
    if checkpoint is not None:
        checks.path("fit", "checkpoint", checkpoint)


def check_settings(settings: object) -> dict[str, Any]:
    """The settings as they will be read back; TypeError or ValueError if they are no JSON data."""
    if settings is None:
        return {}
    checks.kind("fit", "settings", settings, Mapping, "a mapping or None")
    try:
        return json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"fit: `settings` must be JSON data; {error}") from None


def check_features(net: nn.Module, features: Iterable[str], loss: object) -> list[str]:
    """The names as a list; ValueError unless each is a module of `net` and there is a `loss`."""
    names = checks.listed("fit", "features", features, str, "names of modules of `net`")
    known = [name for name, _ in net.named_modules() if name]
    for name in names:
        if name not in known:
            raise ValueError(
                f"fit: `features` names {name!r}, which is no module of `net`; its modules are"
                f" {checks.shown(known)}"
            )
    if names and loss is None:
        raise ValueError(f"fit: `features` needs a `loss` that they are given to; got {names!r}")
    return names


def check_modules(modules: Iterable[nn.Module], split: Split) -> list[nn.Module]:
    """The modules as a list; TypeError or ValueError unless they are on the data's device."""
    found = checks.listed("fit", "modules", modules, nn.Module, "Modules")
    for module in found:
        check_device("fit", module, split, "modules")
    return found

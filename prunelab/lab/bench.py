"""The lab's bench: one trained network on embedded digits, the same for everybody in a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pandas as pd
import torch
from torch import nn

from prunelab import checks, cost, data, models, scores, sensitivity, surgery, train
from prunelab.data import Dataset
from prunelab.groups import Groups, trace
from prunelab.masks import Keep
from prunelab.widgets.plans import Plan, kept, parsed

TUNED = train.Budget(epochs=1, lr=0.005, batch=64, weight_decay=5e-4, channels_last=True)
TRAINED = replace(TUNED, epochs=6, lr=0.01, schedule="onecycle")
RATIOS = tuple(n / 10 for n in range(1, 10))
BUDGET = 0.5  # of the MACs


def digits() -> Dataset:
    """The embedded digits: 1,257 to train on, 180 to choose by, 360 to test; a copy."""
    return deepcopy(_loaded())


@cache
def _loaded() -> Dataset:
    return data.load("digits")


def network(seed: int = 0) -> nn.Module:
    """LeNet-5, trained on the digits for a few seconds the first time; each call gives a copy.

    Args:
        seed: of its weights and of the order of images.

    Raises:
        ValueError: `seed` is no integer >= 0.
    """
    checks.count("network", "seed", seed, 0)
    return surgery.shrink(_trained(seed), groups(), {}).eval()


@cache
def _trained(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = models.build("lenet-5-relu")
    train.fit(net, digits(), TRAINED, seed=seed, progress=False)
    return net.eval()


@cache
def groups() -> Groups:
    """Its groups of channels."""
    with torch.random.fork_rng():
        return trace(models.build("lenet-5-relu"), digits().example)


def curves(seed: int = 0) -> pd.DataFrame:
    """The scan of its groups on the validation images, by l1 norm, from 10% to 90%; a copy."""
    return _scanned(seed).copy()


@cache
def _scanned(seed: int) -> pd.DataFrame:
    options = {"ratios": RATIOS, "cache": False, "progress": False}
    return sensitivity.scan(_trained(seed), digits().val, **options)


def plan_of(plan: str | Mapping[str, float]) -> Plan:
    """A plan from the explorer's text, or from ratios by group. ValueError: it is none."""
    sizes = {name: group.size for name, group in groups().items()}
    if isinstance(plan, str):
        return parsed(plan, sizes, "pruned")
    checks.kind(
        "pruned", "plan", plan, Mapping, "a text as `conv1=0.5 fc1=0.8`, or ratios by group"
    )
    return parsed(" ".join(f"{name}={ratio!r}" for name, ratio in plan.items()), sizes, "pruned")


def pruned(plan: str | Mapping[str, float], seed: int = 0) -> nn.Module:
    """The bench's network, shrunk to a plan and fine-tuned as it says.

    Args:
        plan: as the explorer's plan text, such as "conv1=0.5 conv2:0,3 +1", or ratios by group.
            The filters with the smallest l1 norms go, or those picked by hand.
        seed: of the network and its fine-tuning.

    Raises:
        TypeError, ValueError: it is no plan of this network.
    """
    found = plan_of(plan)
    small = shrunk(found, seed)
    for epochs in found.tuned or ():
        small = tuned(small, epochs, seed)
    return small


def shrunk(plan: Plan, seed: int = 0) -> nn.Module:
    """The bench's network with the channels of a plan alone, without its fine-tuning."""
    net = network(seed)
    order = sensitivity.ranking(net, groups(), "l1")
    return surgery.shrink(net, groups(), kept(plan, order))


def tuned(net: nn.Module, epochs: float = 1, seed: int = 0) -> nn.Module:
    """Fine-tune a copy of a network on the training digits."""
    checks.kind("tuned", "net", net, nn.Module, "a network")
    copy = surgery.rebuild(net, lambda _, tensor: tensor)
    train.fit(copy, digits(), replace(TUNED, epochs=epochs), seed=seed, progress=False)
    return copy.eval()


def size(net: nn.Module) -> dict[str, float]:
    """MACs and parameters of a network, as shares of the bench's own."""
    own, whole = (cost.measure(one, digits().example) for one in (net, _trained(0)))
    return {"macs": own.macs / whole.macs, "params": own.params / whole.params}


def compare(
    criteria: Mapping[str, sensitivity.Criterion], ratio: float, seeds: Sequence[int] = range(5)
) -> pd.DataFrame:
    """Prune every group by each criterion, fine-tune alike, and test.

    Args:
        criteria: name -> criterion, as for `sensitivity.scan`.
        ratio: the share of channels that goes, in every group.
        seeds: one network and one fine-tuning each.

    Returns:
        One row per (criterion, seed): criterion, seed, before and after (test accuracy without and
        with an epoch of fine-tuning).
    """
    checks.kind("compare", "criteria", criteria, Mapping, "criteria by name")
    scores.check_ratio("compare", ratio)
    seeds = checks.listed("compare", "seeds", seeds, int, "integers >= 0")
    for seed in seeds:
        checks.count("compare", "seeds", seed, 0)
    found = []
    for seed in seeds:
        net = network(seed)
        for name, criterion in criteria.items():
            order = sensitivity.ranking(net, groups(), criterion, digits().train)
            keep = Keep({g: scores.best(s, scores.kept(len(s), ratio)) for g, s in order.items()})
            small = surgery.shrink(net, groups(), keep)
            before = train.evaluate(small, digits().test).accuracy
            after = train.evaluate(tuned(small, 1, seed), digits().test).accuracy
            found.append((name, seed, before, after))
    return pd.DataFrame(found, columns=["criterion", "seed", "before", "after"])

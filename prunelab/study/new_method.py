"""`prunelab new method NAME`: a method, a recipe that measures it, and its test, ready to edit.

The three files run at once, in any folder. CONTRIBUTING.md says where they go in the project.
"""

from __future__ import annotations

import builtins
import importlib.util
import keyword
from pathlib import Path
from string import Template

from prunelab import checks, methods, paths

METHOD = '''\
"""$title: remove the channels whose weights differ least from one another. Edit `score`.

Source: none yet. Name the paper, its section and equation here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import prunelab
from prunelab import scores, sensitivity
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.methods.base import Method, Pruned, Ratios, check_ratios, choose, example_of
from prunelab.methods.stages import Options
from torch import Tensor, nn


@prunelab.criterion(images=64)
def score(weights: Tensor) -> Tensor:
    """(size, n) weights -> (size,): the smallest go first. It may ask for activations and more."""
    return weights.std(1)


@dataclass(frozen=True)
class $name(Method):
    """$title.

    Attributes:
        ratios: fraction of the channels to remove, one for all groups or by group name.
    """

    # With the code of `score`: what another score has measured is not looked up for this one.
    KIND: ClassVar[str] = f"$stem-{score.code}"

    ratios: Ratios

    def __post_init__(self) -> None:
        check_ratios(self, self.ratios)

    def _looks_at_images(self) -> bool:
        return score.looks

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        """Nothing is random here."""
        groups = trace(net, example_of(data))
        ratios = choose(groups, self.ratios)
        images = getattr(data, "train", None) if score.looks else None
        order = sensitivity.ranking(net, groups.select(ratios), score, images)
        keep = {n: scores.best(order[n], scores.kept(groups[n].size, r)) for n, r in ratios.items()}
        return Pruned(Keep(keep))
'''

RECIPE = '''\
"""Measure $name beside the filter norm: the same network, ratios and fine-tuning.

Rows are appended to runs/ledger/$stem.jsonl and looked up there. A killed run goes on.
"""

import os
from dataclasses import replace

import pandas as pd
from prunelab.methods import FilterNorm
from prunelab.study import ledger
from prunelab.study.networks import NETWORKS
from prunelab.study.recipes import Recipe
from prunelab.study.tasks import Baseline, Prune

from $stem import $name

os.environ.setdefault("PRUNELAB_RUNS", "runs")  # rows and trained networks go there
PRESET, SEEDS, RATIOS = "quick", (0, 1, 2), (0.3, 0.5, 0.7)  # "standard": MNIST, for hours
NETWORK = NETWORKS[PRESET][0]
TUNE = replace(NETWORK.training, epochs=NETWORK.training.epochs / 5, lr=0.005)


def recipes() -> list[Recipe]:
    """The unpruned network, and both methods at each ratio, for each seed."""
    tasks = {"unpruned": Baseline()}
    for ratio in RATIOS:
        tasks[f"filter norm {ratio:.0%}"] = Prune(FilterNorm(ratio), TUNE)
        tasks[f"$stem {ratio:.0%}"] = Prune($name(ratio), TUNE)
    own = (NETWORK.model, NETWORK.data, NETWORK.budget)
    return [
        Recipe("$stem", PRESET, label, task, *own, seed)
        for label, task in tasks.items()
        for seed in SEEDS
    ]


if __name__ == "__main__":
    rows = ledger.run(recipes(), "missing")
    table = pd.DataFrame([{"label": row["label"], **row["values"]} for row in rows])
    table["error %"] = 100 * (1 - table.accuracy)
    print(table.groupby("label", sort=False)[["error %", "macs"]].agg(["mean", "min", "max"]))
'''

TEST = '''\
"""What $name claims, in any network; and that it refuses what makes no sense."""

import pytest
import torch
from prunelab import data, models, surgery
from prunelab.groups import trace
from torchvision.models import resnet18

from $stem import $name, score

DIGITS = data.load("digits")


def test_the_lowest_scores_go_and_the_shrunk_network_is_the_masked_one():
    torch.manual_seed(0)
    net = models.build("lenet-5").eval()
    groups = trace(net, DIGITS.example)
    keep = $name(0.5).prune(net, DIGITS, progress=False)
    net, example = net.double(), DIGITS.train.batch(slice(0, 8), torch.float64)[0]
    small = surgery.shrink(net, groups, keep)
    surgery.masker(net, groups, keep)()
    assert torch.allclose(net(example), small(example))
    if score.takes == ("weights",):
        found = score(net.conv1.weight.flatten(1))
        assert found[keep["conv1"]].min() >= found[~keep["conv1"]].max()


def test_it_takes_a_residual_network_and_says_the_same_again():
    torch.manual_seed(0)
    net, example = resnet18(num_classes=10).eval(), torch.randn(2, 3, 64, 64)
    if score.looks:
        pytest.skip("the digits do not fit this network")
    first, again = ($name(0.3).prune(net, example, progress=False) for _ in range(2))
    assert first.keys() and all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("ratio", [1.0, -0.1, "half"])
def test_a_ratio_that_is_none_is_refused_in_one_line(ratio):
    with pytest.raises(ValueError, match="$name") as error:
        $name(ratio)
    assert "\\n" not in str(error.value)
'''
TAKEN = {
    *methods.__all__,
    *dir(builtins),
    "Method",
    "Pruned",
    "Ratios",
    "Options",
    "Keep",
    "Tensor",
}
FILES = {"{stem}.py": METHOD, "measure_{stem}.py": RECIPE, "test_{stem}.py": TEST}


def write(name: str, folder: str | Path = ".") -> list[Path]:
    """Write the three files.

    Args:
        name: of the method: `last_channels`, `LastChannels` or "last channels".
        folder: where; it must exist.

    Returns:
        Their paths: the method, the recipe, the test.

    Raises:
        TypeError, ValueError: `name` cannot become a name in Python.
        FileExistsError: one of them is there; nothing is written.
        OSError: they cannot be written.
    """
    checks.kind("new method", "name", name, str, "a name, as `last_channels`")
    spaced = "".join(f" {c}" if c.isupper() else c for c in name).replace("-", " ")
    words = spaced.replace("_", " ").lower().split()
    stem = "_".join(words)
    good = stem.isidentifier() and not keyword.iskeyword(stem)
    checks.need(good, "new method", "name", "a name, as `last_channels`", name)
    made = "".join(map(str.capitalize, words))
    if importlib.util.find_spec(stem) or made in TAKEN:
        raise ValueError(f"new method: `name` must be another one; {name!r} is taken")
    place = checks.path("new method", "folder", folder)
    if not place.is_dir():
        raise FileNotFoundError(f"new method: `folder` must exist; `{place}` does not")
    files = {place / file.format(stem=stem): text for file, text in FILES.items()}
    if there := [str(path) for path in files if path.exists()]:
        raise FileExistsError(f"new method: `{there[0]}` is there already; nothing was written")
    given = {"stem": stem, "name": made, "title": " ".join(words)}
    given["title"] = given["title"].capitalize()
    for path, text in files.items():
        paths.write_text(path, Template(text).substitute(given), "new method")
    return list(files)

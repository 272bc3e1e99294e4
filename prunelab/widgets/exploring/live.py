"""Live: answers measured now, by shrinking the network and running it on images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from prunelab import checks, cost, groups, sensitivity, surgery, train
from prunelab.data import Dataset, Photos, Split
from prunelab.data.tensors import as_split
from prunelab.groups.diagram import diagram, stages
from prunelab.masks import Keep
from prunelab.meta import dtype_of, unwrap
from prunelab.sensitivity.budget.price import price
from prunelab.sensitivity.criteria import own_of
from prunelab.sensitivity.scanning.folding import folded
from prunelab.sensitivity.scanning.trial import quickest
from prunelab.train import Budget
from prunelab.widgets.exploring.looking import Looker
from prunelab.widgets.exploring.presets import pfec
from prunelab.widgets.exploring.worker import Advance, Stop, StoppedError
from prunelab.widgets.plans import Plan, kept
from prunelab.widgets.source import MEASURED, Answer, Ratios, Source

CALLER, SPLITS = "explorer", ("val", "test")
BATCH, ON_GPU = 100, 1000  # images between two looks at whether to stop
GRID = tuple(round(0.1 * k, 1) for k in range(1, 10))
RETRAIN = train.Budget(epochs=1, lr=0.002, batch=64, weight_decay=5e-4)


class Live(Source):
    """Shrinks a copy of a network, and evaluates it batch by batch.

    Arguments and errors are those of `explorer`. What is done to the network later changes nothing.
    """

    def __init__(
        self,
        net: nn.Module,
        data: object,
        *,
        criterion: sensitivity.Criterion = "l1",
        split: str = "val",
        images: int | None = None,
        train: object = None,
        retrain: train.Budget = RETRAIN,
        logits: str | int | None = None,
    ):
        checks.kind(CALLER, "net", net, nn.Module, "a network")
        checks.word(CALLER, "split", split, SPLITS)
        checks.kind(CALLER, "retrain", retrain, Budget, "a Budget")
        named = logits is None or isinstance(logits, str) or checks.is_count(logits, -(2**31))
        checks.need(named, CALLER, "logits", "a key, a position, an attribute or None", logits)
        net, self.logits = unwrap(net), logits
        device = next((p.device for p in net.parameters()), torch.device("cpu"))
        known = isinstance(data, Dataset)
        answering = as_split(getattr(data, split) if known else data, images=images, caller=CALLER)
        self.split = _decoded(answering).to(device)
        learning = data.train if known and train is None else train
        self.learning = None if learning is None else as_split(learning, caller=CALLER).to(device)
        if self.learning is None:
            self.why_not_train = "no training images: give a Dataset, or `train`"
        self.retrain = retrain
        self.criterion = criterion if isinstance(criterion, str) else None
        own = own_of(criterion)
        self.looks = own is not None and own.looks
        self.title = f"{type(net).__name__} on "
        self.title += f"{data.name}, {split} split" if known else "own images"
        self._read(net, criterion)
        self.tuned: dict[frozenset, list[tuple[nn.Module, list[train.Budget]]]] = {}
        self._at: dict[frozenset, int] = {}  # by widths: how many of its fine-tunings are on show
        self._final: dict[tuple[frozenset, float], Answer] = {}  # by widths and epochs tuned
        self._before: dict[int, Tensor] = {}  # first image of a batch -> what is right

    def _read(self, net: nn.Module, criterion: sensitivity.Criterion) -> None:
        some, _ = self.split.batch(slice(0, 3), dtype_of(net))
        self.example = some[:1]
        self.groups = groups.trace(net, self.example)
        if not self.groups:
            raise ValueError(f"{CALLER}: `net` has no group to prune: {self.groups.fixed}")
        self.net = surgery.shrink(net, self.groups, {}).eval()
        graph = groups.flow(self.net, self.example).graph
        self._form = quickest(self.net, graph, some, self.logits)
        self._quick = folded(self.net, *self._form)
        self.rows = diagram(self.net, self.example, self.groups)
        self.stages = stages(self.rows)
        self.price = price(self.net, self.example, self.groups)
        looked = self.split if self.learning is None else self.learning
        options = (criterion, looked, self.logits)
        self.order = sensitivity.ranking(self.net, self.groups, *options)
        self.inside = Looker(self.net, self.groups, self.split, looked, self.logits)
        self.presets = pfec(self.groups, self.rows)
        self.whole = dict(zip(("params", "macs"), self.price())) | {"images": len(self.split)}

    def key(self, ratios: Ratios) -> frozenset:
        """What equal networks have in common: widths, and channels that were picked by hand."""
        kept = self.kept(ratios)
        return frozenset((name, kept[name], self.hand.get(name, ())) for name in kept)

    def keep(self, ratios: Ratios) -> Keep:
        """What stays: the channels of largest score, or all but those picked by hand."""
        lost = self.kept(ratios)
        return kept(Plan({name: ratios[name] for name in lost}, self.hand), self.order)

    def network(self, ratios: Ratios) -> tuple[nn.Module, Keep, list[train.Budget]]:
        """The network at these ratios, what it keeps, and the fine-tunings that it has had."""
        keep, (tuned, budgets) = self.keep(ratios), self._version(ratios)
        return tuned or surgery.shrink(self.net, self.groups, keep), keep, budgets

    def _version(self, ratios: Ratios) -> tuple[nn.Module | None, list[train.Budget]]:
        """The one on show, the latest unless `take` went back; at once, as threads change it."""
        key = self.key(ratios)
        versions = [(None, []), *self.tuned.get(key, [])]
        return versions[self._at.get(key, len(versions) - 1)]

    def budgets(self, ratios: Ratios) -> list[train.Budget]:
        """Budgets of the fine-tunings that the network at these ratios has had."""
        return self._version(ratios)[1]

    def take(self, plan: Plan) -> int:
        """Go to a plan: to its channels, and back to as much fine-tuning as it had."""
        super().take(plan)
        key = self.key(plan.ratios)
        epochs = [0, *(_epochs(budgets) for _, budgets in self.tuned.get(key, []))]
        if plan.epochs in epochs:
            self._at[key] = epochs.index(plan.epochs)
        return int(_epochs(self.budgets(plan.ratios)))

    def known(self, ratios: Ratios) -> Answer | None:
        """The answer for a network that was measured completely before."""
        return self._final.get((self.key(ratios), _epochs(self.budgets(ratios))))

    def answers(self, ratios: Ratios, stop: Stop) -> Iterator[Answer]:
        """Measured on more and more images; the last answer includes the latency."""
        if known := self.known(ratios):
            yield known
            return
        small, _, budgets = self.network(ratios)
        quick, epochs, total = folded(small, *self._form), _epochs(budgets), len(self.split)
        params, macs = self.cost(ratios)
        before, after, due = [], [], 0
        step = BATCH if self.split.device.type == "cpu" else ON_GPU
        for first in range(0, total, step):
            if stop():
                raise StoppedError
            part = self.split[first : first + step]
            if first not in self._before:
                self._before[first] = self._right(self._quick, part)
            before.append(self._before[first])
            after.append(self._right(quick, part))
            seen = first + len(part)
            if seen >= due or seen == total:  # twice as many images as before
                due, flags = 2 * seen, (torch.cat(before), torch.cat(after))
                whole, accuracy = (flag.sum().item() / seen for flag in flags)
                low, high = sensitivity.paired_interval(*flags)
                answer = Answer(
                    accuracy, low, high, whole, seen, total, params, macs, None, MEASURED, epochs
                )
                yield answer
        if stop():
            raise StoppedError
        seconds = cost.latency(small, self.example, calls=9).median
        if "seconds" not in self.whole:
            self.whole["seconds"] = cost.latency(self.net, self.example, calls=9).median
        answer = dataclasses.replace(answer, seconds=seconds)
        self._final[self.key(ratios), epochs] = answer
        self.whole["accuracy"] = answer.whole
        yield answer

    def _right(self, net: nn.Module, part: Split) -> Tensor:
        """Which images a network classifies correctly, (N,) bool."""
        return train.evaluate(net, part, logits=self.logits).correct

    def scan(self, images: int, advance: Advance) -> None:
        """Scan all groups on the first images, and set `curves`, unless `advance` raises."""
        options = {"ratios": GRID, "criterion": self.order, "logits": self.logits}
        part = self.split[:images]
        self.curves = sensitivity.scan(self.net, part, progress=advance, **options)

    def finetune(self, ratios: Ratios, epochs: int, advance: Advance) -> None:
        """Train the network at these ratios further; if `advance` raises, it stays as it was."""
        budget = dataclasses.replace(self.retrain, epochs=epochs)
        small, _, budgets = self.network(ratios)
        small = surgery.shrink(small, self.groups, {})  # a copy: what is on show stays in use
        steps = budget.steps(len(self.learning))[1]

        def after(step: int) -> None:
            advance((step + 1) / steps)

        options = {"after_step": after, "progress": False, "logits": self.logits}
        key = self.key(ratios)
        train.fit(small, self._dataset(), budget, **options)
        versions = self.tuned.get(key, [])[: self._at.get(key)]  # what came after another one goes
        self.tuned[key] = [*versions, (small.eval(), [*budgets, budget])]
        self._at.pop(key, None)

    def removed(self, group: str, ratios: Ratios) -> list[int]:
        """Positions of the channels of a group that the network at these ratios lacks."""
        keep = self.keep(ratios)
        return (~keep[group]).nonzero()[:, 0].tolist() if group in keep else []

    def _dataset(self) -> Dataset:
        """The training images alone: nothing else is looked at while it trains."""
        learning, none = self.learning, self.learning[:0]
        classes = int(learning.labels.max()) + 1
        return Dataset(
            "own", learning, none, none, classes, learning.mean, learning.std, checksum=""
        )


def _epochs(budgets: list[train.Budget]) -> float:
    return sum(budget.epochs for budget in budgets)


def _decoded(split: Split) -> Split:
    """Photos are decoded once, not at every move of a slider: 150 kB each."""
    if not isinstance(split.images, Photos):
        return split
    images = torch.cat(list(split.images.read(torch.arange(len(split)), BATCH)))
    return dataclasses.replace(split, images=images)

"""Live: answers measured now, by shrinking the network and running it on images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from prunelab import checks, cost, groups, scores, sensitivity, surgery, train
from prunelab.data import Dataset, Photos, Split
from prunelab.data.tensors import as_split
from prunelab.groups.diagram import diagram, stages
from prunelab.masks import Keep
from prunelab.meta import dtype_of, unwrap
from prunelab.sensitivity.budget.price import price
from prunelab.sensitivity.scanning.folding import folded
from prunelab.sensitivity.scanning.trial import quickest
from prunelab.train import Budget
from prunelab.widgets.exploring.presets import pfec
from prunelab.widgets.exploring.worker import Stop, StoppedError
from prunelab.widgets.source import MEASURED, Answer, Ratios, Source

CALLER, SPLITS = "explorer", ("val", "test")
FIRST = (50, 500)  # images of the first chunk: at least, at most
WORK = 2e10  # MACs of the first chunk: a fifth of a second or so on two cores
BATCH = 100  # images between two looks at whether to stop, on a CPU
GRID = tuple(round(0.1 * k, 1) for k in range(1, 10))
RETRAIN = train.Budget(epochs=1, lr=0.002, batch=64, weight_decay=5e-4)


class Live(Source):
    """Shrinks a copy of a network, and evaluates it in growing chunks of images.

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
        self.title = f"{type(net).__name__} on "
        self.title += f"{data.name}, {split} split" if known else "own images"
        self._read(net, criterion)
        self.tuned: dict[frozenset, tuple[nn.Module, list[train.Budget]]] = {}
        self._final: dict[tuple[frozenset, float], Answer] = {}  # by widths and epochs tuned
        self._before: dict[int, Tensor] = {}  # first image of a chunk -> what is right

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
        self.order = sensitivity.ranking(self.net, self.groups, criterion)
        self.presets = pfec(self.groups, self.rows)
        self.whole = dict(zip(("params", "macs"), self.price())) | {"images": len(self.split)}

    def network(self, ratios: Ratios) -> tuple[nn.Module, Keep]:
        """The network at these ratios, fine-tuned if it was, and what it keeps."""
        small, keep, _ = self._network(self.kept(ratios))
        return small, keep

    def _network(self, kept: dict[str, int]) -> tuple[nn.Module, Keep, list[train.Budget]]:
        keep = Keep({name: scores.best(self.order[name], count) for name, count in kept.items()})
        tuned, budgets = self.tuned.get(_key(kept), (None, []))  # at once: threads change it
        return tuned or surgery.shrink(self.net, self.groups, keep), keep, budgets

    def budgets(self, ratios: Ratios) -> list[train.Budget]:
        """Budgets of the fine-tunings that the network at these ratios has had."""
        return self.tuned.get(_key(self.kept(ratios)), (None, []))[1]

    def known(self, ratios: Ratios) -> Answer | None:
        """The answer for a network that was measured completely before."""
        return self._final.get((_key(self.kept(ratios)), _epochs(self.budgets(ratios))))

    def answers(self, ratios: Ratios, stop: Stop) -> Iterator[Answer]:
        """Measured on more and more images; the last answer includes the latency."""
        kept = self.kept(ratios)
        if known := self.known(ratios):
            yield known
            return
        small, _, budgets = self._network(kept)
        quick, epochs = folded(small, *self._form), _epochs(budgets)
        pairs = []
        for first, part in self._chunks():
            if first not in self._before:
                self._before[first] = right(self._quick, part, stop, self._entry)
            pairs.append((self._before[first], right(quick, part, stop, self._entry)))
            yield (answer := self._answer(kept, pairs, epochs))
        if stop():
            raise StoppedError
        seconds = cost.latency(small, self.example, calls=9).median
        if "seconds" not in self.whole:
            self.whole["seconds"] = cost.latency(self.net, self.example, calls=9).median
        self._final[_key(kept), epochs] = answer = dataclasses.replace(answer, seconds=seconds)
        self.whole["accuracy"] = answer.whole
        yield answer

    def _answer(self, kept: dict, pairs: list, epochs: float) -> Answer:
        before, after = map(torch.cat, zip(*pairs))
        low, high = sensitivity.paired_interval(before, after)
        params, macs = self.price(kept)
        seen, total = len(after), len(self.split)
        accuracy, whole = (part.sum().item() / seen for part in (after, before))
        return Answer(accuracy, low, high, whole, seen, total, params, macs, None, MEASURED, epochs)

    @property
    def _entry(self) -> dict:
        """The option that says where the logits are, if needed."""
        return {} if self.logits is None else {"logits": self.logits}

    def _chunks(self) -> Iterator[tuple[int, Split]]:
        """(first image, part): a small part first, then parts of twice that size."""
        size = int(min(max(WORK / max(1, self.whole["macs"]), FIRST[0]), FIRST[1]))
        start, end = 0, size
        while start < len(self.split):
            yield start, self.split[start:end]
            start, end = end, end + 2 * size

    def scan(self, images: int, step: Callable[[float], None], stop: Stop) -> None:
        """Scan all groups on the first images, and set `curves`; if stopped, it does not.

        Args:
            images: how many.
            step: called with the fraction done.
            stop: true = leave off; what was measured so far is remembered.

        Raises:
            StoppedError: `stop` was true.
        """

        def progress(done: float) -> None:
            if stop():
                raise StoppedError
            step(done)

        options = {"ratios": GRID, "criterion": self.order, "progress": progress} | self._entry
        self.curves = sensitivity.scan(self.net, self.split[:images], **options)

    def finetune(
        self, ratios: Ratios, epochs: int, step: Callable[[float], None], stop: Stop
    ) -> None:
        """Train the network at these ratios further; if stopped, it stays as it was.

        Args:
            ratios: of the network on show.
            epochs: how long.
            step: called with the fraction done.
            stop: true = leave off.

        Raises:
            StoppedError: `stop` was true.
        """
        budget = dataclasses.replace(self.retrain, epochs=epochs)
        small, keep, budgets = self._network(self.kept(ratios))
        small = surgery.shrink(small, self.groups, {})  # a copy: what is on show stays in use
        steps = budget.steps(len(self.learning))[1]

        def after(number: int) -> None:
            if stop():
                raise StoppedError
            step((number + 1) / steps)

        options = {"after_step": after, "progress": False} | self._entry
        train.fit(small, self._dataset(), budget, **options)
        self.tuned[_key(keep.widths())] = (small.eval(), [*budgets, budget])

    def _dataset(self) -> Dataset:
        """The training images alone: nothing else is looked at while it trains."""
        learning, none = self.learning, self.learning[:0]
        classes = int(learning.labels.max()) + 1
        return Dataset(
            "own", learning, none, none, classes, learning.mean, learning.std, checksum=""
        )


def right(net: nn.Module, part: Split, stop: Stop, options: dict) -> Tensor:
    """Which images `net` classifies correctly, (N,) bool. StoppedError: `stop` was true."""
    found, step = [], BATCH if part.device.type == "cpu" else len(part)
    for first in range(0, len(part), step):
        if stop():
            raise StoppedError
        found.append(train.evaluate(net, part[first : first + step], **options).correct)
    return torch.cat(found)


def _epochs(budgets: list[train.Budget]) -> float:
    return sum(budget.epochs for budget in budgets)


def _key(kept: dict[str, int]) -> frozenset:
    return frozenset(kept.items())


def _decoded(split: Split) -> Split:
    """Photos are decoded once, not at every move of a slider: 150 kB each."""
    if not isinstance(split.images, Photos):
        return split
    images = torch.cat(list(split.images.read(torch.arange(len(split)), BATCH)))
    return dataclasses.replace(split, images=images)

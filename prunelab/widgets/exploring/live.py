"""Live: answers measured now, by shrinking the network and running it on images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from prunelab import checks, sensitivity, surgery, train
from prunelab import groups as tracing
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
from prunelab.widgets.exploring.timing import in_turns
from prunelab.widgets.exploring.worker import Advance, Stop, StoppedError
from prunelab.widgets.plans import Plan, kept
from prunelab.widgets.source import MEASURED, Answer, Ratios, Source

CALLER, SPLITS = "explorer", ("val", "test")
BATCH, ON_GPU = 100, 1000  # images between two looks at whether to stop
GRID = tuple(round(0.1 * k, 1) for k in range(1, 10))
RETRAIN = train.Budget(epochs=1, lr=0.002, batch=64, weight_decay=5e-4)


Known = tuple[frozenset, tuple[int, ...]]  # widths and channels by hand; epochs tuned


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
        groups: Iterable[str] | None = None,
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
        self._read(net, criterion, groups)
        self.tuned: dict[Known, tuple[nn.Module, list[train.Budget]]] = {}
        self._at: dict[frozenset, tuple[int, ...]] = {}  # which fine-tunings are on show
        self._final: dict[Known, Answer] = {}
        self._before: dict[int, Tensor] = {}  # first image of a batch -> what is right

    def _read(
        self, net: nn.Module, criterion: sensitivity.Criterion, names: Iterable[str] | None
    ) -> None:
        some, _ = self.split.batch(slice(0, 3), dtype_of(net))
        self.example = some[:1]
        found = tracing.trace(net, self.example)
        self.groups = found if names is None else found.select(list(names))
        if not self.groups:
            raise ValueError(f"{CALLER}: `net` has no group to prune: {self.groups.fixed}")
        self.net = surgery.shrink(net, self.groups, {}).eval()
        graph = tracing.flow(self.net, self.example).graph
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

    def key(self, ratios: Ratios | Plan) -> frozenset:
        """What equal networks have in common: widths, and channels that were picked by hand."""
        plan = self.plan(ratios)
        lost = self.kept(plan.ratios)
        return frozenset((name, lost[name], plan.hand.get(name, ())) for name in lost)

    def _known(self, ratios: Ratios | Plan) -> Known:
        plan = self.plan(ratios)
        key = self.key(plan)
        return key, self._at.get(key, ()) if plan.tuned is None else plan.tuned

    def network(self, ratios: Ratios | Plan) -> tuple[nn.Module, Keep, list[train.Budget]]:
        """The network at these ratios, what it keeps, and the fine-tunings that it has had."""
        plan = self.plan(ratios)
        keep = kept(plan, self.order)
        tuned, budgets = self.tuned.get(self._known(plan), (None, []))
        return tuned or surgery.shrink(self.net, self.groups, keep), keep, budgets

    def budgets(self, ratios: Ratios | Plan) -> list[train.Budget]:
        """Budgets of the fine-tunings that the network at these ratios has had."""
        return self.tuned.get(self._known(ratios), (None, []))[1]

    def take(self, plan: Plan) -> None:
        """Go to a plan, and to as many of its fine-tunings as were done here."""
        super().take(plan)
        if plan.tuned is not None:
            key, done = self.key(plan), plan.tuned
            while done and (key, done) not in self.tuned:
                done = done[:-1]
            self._at[key] = done

    def known(self, ratios: Ratios | Plan) -> Answer | None:
        """The answer for a network that was measured completely before."""
        return self._final.get(self._known(ratios))

    def answers(self, ratios: Ratios | Plan, stop: Stop) -> Iterator[Answer]:
        """Measured on more and more images; the last answer includes the latency."""
        plan = self.plan(ratios)  # taken once: another one may be on show before this ends
        found = self._known(plan)
        if known := self._final.get(found):
            yield known
            return
        small, _, _ = self.network(replace(plan, tuned=found[1]))
        quick, epochs, total = folded(small, *self._form), sum(found[1]), len(self.split)
        params, macs = self.cost(plan.ratios)
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
        untouched = not self.kept(plan.ratios)  # the same network takes the same time
        times = in_turns([self.net] if untouched else [self.net, small], self.example)
        if stop():
            raise StoppedError
        answer = replace(answer, seconds=times[-1], whole_seconds=times[0])
        self._final[found] = answer
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

    def finetune(self, ratios: Ratios | Plan, epochs: int, advance: Advance) -> Plan:
        """Train the network at these ratios further; if `advance` raises, nothing changes.

        Returns:
            The plan of the trained network. It is on show if the one before it still is.
        """
        plan = self.plan(ratios)
        key, before = self._known(plan)
        plan = replace(plan, tuned=before)
        budget = replace(self.retrain, epochs=epochs)
        small, _, budgets = self.network(plan)
        small = surgery.shrink(small, self.groups, {})  # a copy: what is on show stays in use
        steps = budget.steps(len(self.learning))[1]

        def after(step: int) -> None:
            advance((step + 1) / steps)

        options = {"after_step": after, "progress": False, "logits": self.logits}
        train.fit(small, self._dataset(), budget, **options)
        made = replace(plan, tuned=(*before, epochs))
        self.tuned[key, made.tuned] = (small.eval(), [*budgets, budget])
        if self._at.get(key, ()) == before:
            self._at[key] = made.tuned
        return made

    def removed(self, group: str, ratios: Ratios | Plan) -> list[int]:
        """Positions of the channels of a group that the network at these ratios lacks."""
        keep = kept(self.plan(ratios), self.order)
        return (~keep[group]).nonzero()[:, 0].tolist() if group in keep else []

    def _dataset(self) -> Dataset:
        """The training images alone: nothing else is looked at while it trains."""
        learning, none = self.learning, self.learning[:0]
        classes = int(learning.labels.max()) + 1
        return Dataset(
            "own", learning, none, none, classes, learning.mean, learning.std, checksum=""
        )


def _decoded(split: Split) -> Split:
    """Photos are decoded once, not at every move of a slider: 150 kB each."""
    if not isinstance(split.images, Photos):
        return split
    images = torch.cat(list(split.images.read(torch.arange(len(split)), BATCH)))
    return replace(split, images=images)

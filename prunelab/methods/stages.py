"""Stages: the trainings of one run in order, for methods that alternate pruning and training.

A resumed run makes the same calls as the run that was interrupted. Finished stages are read from
their files, the first unfinished one continues from its last epoch, and so the run ends with the
bits of an uninterrupted one. What a method decides between two stages is decided again, from the
same weights; if that is expensive, `Stage.once` keeps it in a file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from tqdm import tqdm

from prunelab import processes, pulse, sealed, train
from prunelab.data import Dataset

FORMAT = "prunelab-stage-1"


@dataclass(frozen=True)
class Options:
    """How one call of `Method.run` is carried out; see there.

    Attributes:
        method: whose run it is.
        seed: of all that is random.
        progress: whether to show bars.
        checkpoint: where unfinished work is kept, or None.
        watch: the caller's function, or None.
    """

    method: Any
    seed: int
    progress: bool
    checkpoint: Path | None
    watch: Callable[[int, object], None] | None

    def stage(self, budget: train.Budget, data: Dataset) -> Stage:
        """The training of a run that has only one."""
        return Stage(self, "", 0, budget, data, self.checkpoint, self.progress)

    def stages(
        self, budgets: Mapping[str, train.Budget], data: Dataset, first: int = 0
    ) -> Iterator[Stage]:
        """Stages in order, under one bar.

        Args:
            budgets: stage name -> its training. If there are several, each keeps its own file,
                named `<checkpoint>.<stage name>`.
            data: what they train on.
            first: number of the first stage; stage n has the seed `seed` + n.
        """
        steps = sum(budget.steps(len(data.train))[1] for budget in budgets.values())
        names = list(budgets)
        hidden = not self.progress or not steps
        with tqdm(total=steps, disable=hidden, desc="train") as bar:
            if len(names) == 1:
                yield Stage(self, names[0], first, budgets[names[0]], data, self.checkpoint, bar)
                return
            for number, name in enumerate(pulse.each("stage", names), first):
                bar.set_description(name)
                path = self.checkpoint
                if path is not None:
                    path = Path(f"{path}.{name.replace(' ', '-')}")
                yield Stage(self, name, number, budgets[name], data, path, bar)


@dataclass(frozen=True)
class Stage:
    """One of the trainings of a run.

    Attributes:
        options: of the run.
        name: shown on the bar.
        number: its position in the run.
        budget: of its training.
        data: what it trains on.
        path: of its checkpoint, or None.
        bar: the bar of all stages, or whether to show its own.
    """

    options: Options
    name: str
    number: int
    budget: train.Budget
    data: Dataset
    path: Path | None
    bar: tqdm[Any] | bool

    @property
    def seed(self) -> int:
        """The seed of this stage."""
        return self.options.seed + self.number

    @property
    def resumed(self) -> bool:
        """Whether its training continues from a file."""
        return self.path is not None and self.path.exists()

    def fit(self, net: nn.Module, **doors: Any) -> train.History:
        """Train `net`; `doors` are further arguments of `train.fit`. Errors as there."""
        how: dict[str, Any] = {"seed": self.seed, "progress": self.bar, "checkpoint": self.path}
        return train.fit(net, self.data, self.budget, **how, settings=self._settings(), **doors)

    def once(self, what: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors that `make` returns, on the CPU; computed once, then read from a file.

        Args:
            what: what they are; the file is named `<stage's file>.<what>`.
            make: returns name -> tensor. The result must follow from the arguments of the run and
                the stages so far. Of several processes only the first calls it.

        Raises:
            ValueError: the file is damaged or of another run.
            OSError: it cannot be written.
        """
        if self.path is None:
            return processes.once(lambda: {name: tensor.cpu() for name, tensor in make().items()})
        path = Path(f"{self.path}.{what}")
        settings = json.dumps(self._settings() | {"seed": self.seed} | self.data.identity)
        if processes.is_first() and not path.exists():
            sealed.write("run", path, {sealed.FORMAT: FORMAT, "settings": settings}, make())
        processes.wait()
        try:
            head, tensors = sealed.opened(path, FORMAT)
            if head["settings"] != settings:
                raise ValueError("it is of another run")
        except ValueError as error:
            name = type(self.options.method).__name__
            raise ValueError(
                f"{name}: `checkpoint` {str(path)!r} cannot be used: {error}; delete it or name"
                " another file"
            ) from None
        return tensors

    def tell(self, done: int, state: object) -> None:
        """Call `watch`, if there is one; but not again for the start of a resumed stage."""
        if self.options.watch is not None and (done or not self.resumed):
            self.options.watch(done, state)

    def _settings(self) -> dict[str, object]:
        """The method's fields: a checkpoint with others is refused."""
        fields = dataclasses.asdict(self.options.method).items()
        named = {f"method.{name}": value for name, value in fields}
        return {"method": type(self.options.method).__name__} | named

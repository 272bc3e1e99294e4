"""The settings that the surgery's headline was chosen from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prunelab.methods import NetworkSurgery


@dataclass(frozen=True)
class Candidate:
    """A setting beside the one that the search found, under `choice.RULE`; None = as there.

    Attributes:
        scale: c times this, of all layers or by layer: so that the size stays about the same.
        lr, weight_decay: of the training.
        flat: share of the training before the rate falls, along a line and no cosine.
        stop, gamma: of the masks.
    """

    scale: float | dict[str, float] = 1.0
    lr: float | None = None
    weight_decay: float | None = None
    flat: float | None = None
    stop: int | None = None
    gamma: float | None = None

    def label(self) -> str:
        """What tables call it."""
        if self == Candidate():
            return "as searched"
        scales = self.scale if isinstance(self.scale, dict) else {"c": self.scale}
        names = {"lr": "rate", "weight_decay": "decay"}
        given = self._given("lr", "weight_decay", "flat", "stop", "gamma")
        words = [f"{names.get(field, field)} {value:g}" for field, value in given.items()]
        return ", ".join([*words, *(f"{k} x {v:g}" for k, v in scales.items())])

    def of(self, surgery: NetworkSurgery) -> NetworkSurgery:
        """The search's setting with these changes."""
        budget = replace(surgery.budget, **self._given("lr", "weight_decay"))
        if self.flat is not None:
            budget = replace(budget, schedule="linear", milestones=(self.flat,))
        masks = self._given("stop", "gamma")
        return replace(surgery, c=times(surgery.c, self.scale), budget=budget, **masks)

    def _given(self, *fields: str) -> dict[str, float]:
        values = {field: getattr(self, field) for field in fields}
        return {field: value for field, value in values.items() if value is not None}


# Named before they ran. The sizes of the first ones lie up to 6% from that of the search's setting;
# wherever that was more than 3%, others follow with c scaled again, by what was kept and by no
# error. Where the rule took one, it is the headline, and the search's setting stands beside it.
CANDIDATES = {
    "lenet-300-100": (
        Candidate(lr=0.03), Candidate(lr=0.1),
        Candidate(1.15, weight_decay=1e-3), Candidate(0.9, weight_decay=2e-3),
        Candidate({"fc1": 1.05, "fc2": 0.9}), Candidate({"fc1": 0.95, "fc2": 1.1}),
        Candidate(0.98, lr=0.03), Candidate(0.955, lr=0.1),
        Candidate(1.19, weight_decay=1e-3), Candidate(0.87, weight_decay=2e-3),
    ),
    "lenet-5": (
        Candidate(0.96, lr=0.015), Candidate(0.98, lr=0.02), Candidate(lr=0.03),
        Candidate(1.15, weight_decay=1e-3), Candidate(0.88, weight_decay=2e-3),
        Candidate({"conv2": 0.9, "fc1": 1.05}), Candidate({"conv2": 1.1, "fc1": 0.95}),
        Candidate(0.92, lr=0.015), Candidate(0.95, lr=0.02), Candidate(1.05, lr=0.03),
        Candidate(1.21, weight_decay=1e-3), Candidate(1.18, weight_decay=1e-3),
        Candidate(0.85, weight_decay=2e-3),
        Candidate({"conv1": 0.97, "conv2": 0.88, "fc1": 1.02, "fc2": 0.97}),
        Candidate(stop=10_000), Candidate(gamma=1e-3),
        Candidate(flat=0.5), Candidate(lr=0.03, flat=0.5), Candidate(1.075, flat=0.5),
    ),
}  # fmt: skip
TAKEN = {"lenet-300-100": Candidate(), "lenet-5": Candidate(1.075, flat=0.5)}
# Seeds that had a say; on LeNet-5 three did not tell the last candidate from what was shown then,
# and three more were named beforehand. All other seeds are fresh.
SEEN = {"lenet-300-100": (0, 1, 2), "lenet-5": (0, 1, 2, 3, 4, 5)}


def times(c: dict[str, float], scale: float | dict[str, float]) -> dict[str, float]:
    """Every c times the scale, which is of all layers or by layer (1 where it names none)."""
    scales = scale if isinstance(scale, dict) else dict.fromkeys(c, scale)
    return {layer: round(scales.get(layer, 1.0) * value, 3) for layer, value in c.items()}

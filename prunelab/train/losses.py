"""The losses of an epoch: their mean, and an alarm at the first that is not finite."""

import math

import torch
from torch import Tensor

LOOK = 20  # steps between two looks on an accelerator: each look waits until it has caught up


class Losses:
    """Collects losses on the device and looks at them: each at once on a CPU, else every 20."""

    def __init__(self, device: torch.device):
        self._every = 1 if device.type == "cpu" else LOOK
        self._waiting: list[tuple[int, float, Tensor]] = []
        self._sum, self._count = 0.0, 0

    @property
    def mean(self) -> float:
        """Mean of all losses looked at."""
        return self._sum / self._count

    def add(self, step: int, rate: float, loss: Tensor) -> None:
        """Take the scalar loss of `step`, made with learning rate `rate`. Errors: as `look`."""
        self._waiting.append((step, rate, loss.detach()))
        if len(self._waiting) >= self._every:
            self.look()

    def look(self) -> None:
        """Read the losses that wait.

        Raises:
            RuntimeError: one is not finite; names the first such step.
        """
        if not self._waiting:
            return
        losses = [loss for _, _, loss in self._waiting]
        # One transfer for all; but for a single loss `stack` would cost more than the reading.
        values = torch.stack(losses).tolist() if len(losses) > 1 else [losses[0].item()]
        for (step, rate, _), value in zip(self._waiting, values):
            if not math.isfinite(value):
                raise RuntimeError(f"fit: the loss is {value} at step {step} (lr {rate:g})")
            self._sum += value
        self._count += len(values)
        self._waiting.clear()

"""History: what `fit` saw, one row per epoch."""

from dataclasses import dataclass, field


@dataclass
class History:
    """One row per epoch: epoch, step, lr, loss, val_accuracy, test_accuracy.

    `epoch` and `step` count what is done, `lr` is that of the last step, `loss` the mean training
    loss with penalty over the epoch, and accuracies are fractions (nan for an empty split).
    """

    rows: list[dict] = field(default_factory=list)

    @property
    def last(self) -> dict:
        """The row of the end of the run."""
        return self.rows[-1]

    @property
    def best(self) -> dict:
        """The first row with the highest test accuracy, which some papers report."""
        return max(self.rows, key=lambda row: row["test_accuracy"])

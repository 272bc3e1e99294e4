"""A task that costs nothing, for tests of what carries recipes about."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Echo:
    """Gives back its number."""

    KIND: ClassVar[str] = "echo"

    number: int
    classes: int = 10

    def run(self, net, data, work):
        return {"number": self.number}

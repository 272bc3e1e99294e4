"""One random operation after another, as a network."""

import torch
from torch import nn
from torch.nn import functional as F

STEPS = """
    conv grouped depthwise point norm relu prelu add residual cat scale pool pad glu attend gate
    groupnorm
""".split()


class Stack(nn.Module):
    """One random operation after another; `widths` are the channels of the convolutions."""

    def __init__(self, steps, flat):
        super().__init__()
        self.steps, self.flat, self.layers = [s for s, _ in steps], flat, nn.ModuleList()
        width, kept = 4, 4  # channels of x, and of the activation kept for `add` and `cat`
        for step, wide in steps:
            layer, width, kept = self._layer(step, wide, width, kept)
            self.layers.append(layer)
        self.last = nn.Linear(width * (16 if flat else 1), 3)
        self.stem = nn.Conv2d(2, 4, 3, padding=1)

    def _layer(self, step, wide, width, kept):
        same = nn.Identity(), width, kept
        if step == "conv":
            return nn.Conv2d(width, wide, 3, padding=1), wide, kept
        if step == "point":  # what stands here now can be added or concatenated later
            return nn.Conv2d(width, wide, 1, bias=False), wide, wide
        if step == "grouped":
            return nn.Conv2d(width, width, 3, padding=1, groups=2 - width % 2), width, kept
        if step == "depthwise":
            return nn.Conv2d(width, 2 * width, 3, padding=1, groups=width), 2 * width, kept
        if step == "residual":
            return nn.Conv2d(width, width, 3, padding=1), width, kept
        if step == "add":
            return nn.Conv2d(width, kept, 1), kept, kept
        if step == "cat":
            return nn.Identity(), width + kept, kept
        if step == "pad":
            return nn.Identity(), width + 3, kept
        if step == "glu":
            return nn.Conv2d(width, 2 * wide, 1), wide, kept
        if step == "scale":
            return nn.ParameterList([torch.ones(width, 1, 1)]), width, kept
        if step in {"attend", "gate"}:
            return nn.Conv2d(width, 1 if step == "attend" else width, 1), width, kept
        layers = {
            "norm": lambda: nn.BatchNorm2d(width),
            "prelu": lambda: nn.PReLU(width),
            "groupnorm": lambda: nn.GroupNorm(1, width),
        }
        return (layers[step](), width, kept) if step in layers else same

    def forward(self, x):
        x = self.stem(x)
        old = x
        for step, layer in zip(self.steps, self.layers):
            x, old = self._step(step, layer, x, old)
        if self.flat:
            return self.last(F.adaptive_max_pool2d(x, 4).flatten(1))
        return self.last(x.mean([2, 3]))

    def _step(self, step, layer, x, old):
        if step == "point":
            x = layer(x)
            return x, x
        steps = {
            "relu": lambda: F.relu(x),
            "add": lambda: layer(x) + old,
            "residual": lambda: x + layer(F.silu(x)),
            "cat": lambda: torch.cat([old, x], 1),
            "pool": lambda: F.max_pool2d(x, 3, 1, 1),
            "pad": lambda: F.pad(x, (0, 0, 0, 0, 1, 2)),
            "glu": lambda: F.glu(layer(x), 1),
            "attend": lambda: x * torch.sigmoid(layer(x)),
            "gate": lambda: x * torch.sigmoid(layer(x.mean([2, 3], keepdim=True))),
        }
        if step == "scale":
            return x * layer[0], old
        return (steps[step]() if step in steps else layer(x)), old

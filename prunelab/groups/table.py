"""Which rule serves which operation; what is in neither table fixes the channels that enter."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from prunelab.groups.labels import Op
from prunelab.groups.meeting import concatenate, elementwise
from prunelab.groups.movement import attribute, chunk, move, pad, reshape, select, squeeze
from prunelab.groups.rules import (
    across,
    conv,
    conv_transpose,
    functional,
    glu,
    keep,
    linear,
    per_channel,
    pool,
    reduce,
)

_KEEP = """
    relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu mish hardswish
    hardsigmoid hardtanh sigmoid sigmoid_ tanh tanh_ softplus softsign threshold clamp clamp_
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout stochastic_depth contiguous
    clone detach float double half to type_as neg abs exp sqrt square identity zeros_like ones_like
""".split()
_POOL = """
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d lp_pool2d
    interpolate
""".split()
_ELEMENTWISE = """
    add iadd add_ sub isub mul imul mul_ truediv itruediv div div_ pow maximum minimum where
    __add__ __mul__ __sub__
""".split()
_ACROSS = """
    softmax log_softmax layer_norm group_norm local_response_norm normalize cumsum rms_norm
""".split()
FUNCTIONS: dict[str, Callable[[Op], object]] = {
    **dict.fromkeys(_KEEP, keep),
    **dict.fromkeys(_POOL, pool),
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(_ACROSS, across),
    **dict.fromkeys(["flatten", "permute", "transpose", "unsqueeze", "movedim"], move),
    **dict.fromkeys(["view", "reshape", "expand", "expand_as"], reshape),
    **dict.fromkeys(["getitem", "split", "narrow", "select", "unbind"], select),
    **dict.fromkeys(["cat", "concat", "concatenate"], concatenate),
    **dict.fromkeys(["mean", "sum", "amax", "amin", "var", "std", "norm"], reduce),
    **dict.fromkeys(["conv1d", "conv2d", "conv3d", "linear"], functional),
    **dict.fromkeys(["batch_norm", "instance_norm", "prelu"], per_channel),
    **dict.fromkeys(["pad", "_pad"], pad),
    "getattr": attribute,
    "squeeze": squeeze,
    "chunk": chunk,
    "glu": glu,
}
_PLAIN = """
    ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh
    Sigmoid Tanh Softplus Softsign Threshold Dropout Dropout1d Dropout2d Dropout3d AlphaDropout
    Identity
""".split()
_POOLS = """
    MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d
    AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d LPPool2d
    Upsample UpsamplingNearest2d UpsamplingBilinear2d ZeroPad2d ReflectionPad2d
    ReplicationPad2d
""".split()
_NORMS = """
    BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d PReLU
""".split()
_MIXING = """
    LayerNorm GroupNorm LocalResponseNorm Softmax LogSoftmax Softmax2d RMSNorm
""".split()
MODULES: dict[type, Callable[[Op], object]] = {
    **{getattr(nn, n): keep for n in _PLAIN},
    **{getattr(nn, n): pool for n in _POOLS},
    **{getattr(nn, n): per_channel for n in _NORMS},
    **{getattr(nn, n): across for n in _MIXING},
    **dict.fromkeys([nn.Conv1d, nn.Conv2d, nn.Conv3d], conv),
    **dict.fromkeys([nn.ConvTranspose1d, nn.ConvTranspose2d], conv_transpose),
    nn.Linear: linear,
    nn.Flatten: move,
    nn.GLU: glu,
}
# By name, so that networks without torchvision's layers need not wait for its import.
TORCHVISION = {"StochasticDepth": keep, "FrozenBatchNorm2d": per_channel}

# What changes the shape of its operand: what is read of it later would be something else.
RESHAPING = set("t_ transpose_ swapaxes_ swapdims_ squeeze_ unsqueeze_ resize_ set_".split())


def rule_of(module: nn.Module) -> Callable[[Op], object] | None:
    """The rule that serves a module, or None if the module is followed inside or unknown."""
    kind = type(module)
    if kind.__module__.startswith("torchvision.ops"):
        return TORCHVISION.get(kind.__name__)
    return MODULES.get(kind)


def rule_of_function(op: str, name: str) -> Callable[[Op], object] | None:
    """The rule that serves a function or method; `op` as in torch.fx."""
    return FUNCTIONS.get(name)

"""Which rule serves which operation; what is in neither table fixes the channels that enter."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree
from torchvision import ops

from prunelab.groups.evidence import Evidence
from prunelab.groups.labels import Names, Op, Parameter, Tracked, metas, method
from prunelab.groups.rules import (
    across,
    chunk,
    concatenate,
    conv,
    conv_transpose,
    elementwise,
    functional,
    keep,
    linear,
    move,
    pad,
    per_channel,
    reduce,
    reshape,
    select,
    unknown,
)

_KEEP = """
    relu relu_ relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid
    hardtanh sigmoid tanh softplus clamp clamp_ dropout dropout2d dropout3d
    feature_dropout stochastic_depth max_pool1d max_pool2d max_pool3d avg_pool1d
    avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool2d interpolate contiguous clone detach float double half to type_as
    neg abs exp log sqrt rsqrt square reciprocal identity
""".split()
_ELEMENTWISE = """
    add iadd add_ sub isub mul imul mul_ truediv div pow maximum minimum where __add__
    __mul__ __sub__
""".split()
_ACROSS = """
    softmax log_softmax layer_norm group_norm local_response_norm normalize cumsum
""".split()
FUNCTIONS: dict[str, Callable[[Op], object]] = {
    **dict.fromkeys(_KEEP, keep),
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(_ACROSS, across),
    **dict.fromkeys(["flatten", "permute", "transpose", "squeeze", "unsqueeze", "movedim"], move),
    **dict.fromkeys(["view", "reshape"], reshape),
    **dict.fromkeys(["getitem", "split", "narrow", "select", "unbind"], select),
    **dict.fromkeys(["cat", "concat", "concatenate"], concatenate),
    **dict.fromkeys(["mean", "sum", "amax", "amin", "var", "std", "norm"], reduce),
    **dict.fromkeys(["conv1d", "conv2d", "conv3d", "linear"], functional),
    "chunk": chunk,
    "pad": pad,
    "_pad": pad,
}
_PLAIN = """
    ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh
    Sigmoid Tanh Softplus Dropout Dropout1d Dropout2d Dropout3d AlphaDropout Identity
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
    **{getattr(nn, n): per_channel for n in _NORMS},
    **{getattr(nn, n): across for n in _MIXING},
    **dict.fromkeys([nn.Conv1d, nn.Conv2d, nn.Conv3d], conv),
    **dict.fromkeys([nn.ConvTranspose1d, nn.ConvTranspose2d], conv_transpose),
    nn.Linear: linear,
    nn.Flatten: move,
    ops.StochasticDepth: keep,
    ops.FrozenBatchNorm2d: per_channel,
}


def apply(
    node: fx.Node, args: tuple, kwargs: dict, modules: dict, names: Names, evidence: Evidence
) -> object:
    """Run one node on meta tensors and give its output labels by rule."""
    module = modules.get(node.target) if node.op == "call_module" else None
    name = node.target if isinstance(node.target, str) else _name(node.target)
    call = module or (node.target if node.op == "call_function" else method(node.target))
    if isinstance(call, type) and issubclass(call, tuple):  # a named tuple of outputs
        return args
    if not any(isinstance(a, Tracked | Parameter) for a in pytree.tree_leaves((args, kwargs))):
        return call(*args, **kwargs)
    out = call(*metas(args), **metas(kwargs))
    if not any(isinstance(o, Tensor) for o in pytree.tree_leaves(out)):
        return out
    op = Op(node, name, module, args, kwargs, out, names, evidence)
    if not op.tracked:  # arithmetic on parameters only
        return Parameter(out, name) if isinstance(out, Tensor) else out
    rule = MODULES.get(type(module), unknown) if module else FUNCTIONS.get(name, unknown)
    labels = rule(op)
    return pytree.tree_map(Tracked, out, labels)


def _name(function: Callable) -> str:
    return getattr(function, "__name__", str(function))

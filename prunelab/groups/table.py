"""Which rule serves which of torch's functions and modules.

What is in neither table fixes the channels that enter. tests/test_torch_modules.py and
tests/test_torch_functions.py go through torch's own lists and hold masked = shrunk for each line.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from prunelab.groups.blocks import blocks, sample, shuffle, unpool
from prunelab.groups.labels import Op
from prunelab.groups.lines import extreme, last_axes, lines, triangle
from prunelab.groups.meeting import concatenate, elementwise, stack
from prunelab.groups.movement import (
    attribute,
    chunk,
    move,
    pad,
    repeat,
    reshape,
    select,
    squeeze,
    unflatten,
    windows,
)
from prunelab.groups.rules import (
    across,
    conv,
    embedding,
    functional,
    glu,
    infinite,
    keep,
    linear,
    per_channel,
    plain,
    pool,
    product,
)

# Names are looked up as they are and then `plain`: `relu_` and `special_expit` need no own line.
_FUNCTIONS: dict[Callable[[Op], object], str] = {
    keep: """
        relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid
        tanh softplus softsign threshold rrelu logsigmoid log_sigmoid hardshrink softshrink
        tanhshrink dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout
        feature_alpha_dropout stochastic_depth contiguous clone detach alias
        requires_grad float double half bfloat16 int long short char byte bool to type type_as cpu
        cuda neg negative positive abs absolute sign sgn signbit exp exp2 expm1 log1p sqrt square
        sin cos tan asin arcsin acos arccos atan arctan sinh cosh tanh asinh arcsinh atanh arctanh
        erf erfc erfinv expit sinc i0 i0e i1 i1e ndtr log_ndtr erfcx entr bessel_j0 bessel_j1
        round floor ceil trunc fix frac nan_to_num deg2rad rad2deg identity zero fill
        zeros_like ones_like full_like logical_not bitwise_not invert inv isfinite isinf isnan
        isposinf isneginf isreal real angle conj conj_physical atleast_1d atleast_2d atleast_3d
         resolve_conj resolve_neg
    """,
    infinite: """
        log log2 log10 reciprocal rsqrt logit lgamma gammaln digamma psi multigammaln mvlgamma
        polygamma acosh arccosh ndtri
    """,
    pool: """
        max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices
        max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
        adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
        adaptive_max_pool3d adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices
        adaptive_max_pool3d_with_indices lp_pool1d lp_pool2d lp_pool3d interpolate upsample
        upsample_nearest upsample_bilinear
    """,
    elementwise: """
        add iadd radd subtract sub isub rsub multiply mul imul rmul divide true_divide truediv
        itruediv rtruediv div idiv rdiv floordiv ifloordiv rfloordiv floor_divide mod imod rmod
        fmod remainder pow ipow rpow float_power maximum minimum fmax fmin where clamp clip
        clamp_min clamp_max lerp addcmul addcdiv atan2 arctan2 hypot logaddexp logaddexp2 copysign
        heaviside masked_fill copy xlogy xlog1py isclose
        eq ne lt le gt ge equal not_equal less less_equal greater greater_equal
        and iand rand or ior ror xor ixor rxor logical_and logical_or logical_xor bitwise_and
        bitwise_or bitwise_xor
    """,
    lines: """
        mean sum prod var std norm any all nansum nanmean logsumexp argmax argmin median nanmedian
        mode std_mean var_mean count_nonzero aminmax amax amin kthvalue quantile nanquantile
        vector_norm linalg_norm linalg_vector_norm softmax log_softmax softmin normalize cumsum
        cumprod logcumsumexp cummax cummin sort argsort topk flip roll rot90 diff
    """,
    product: """
        matmul imatmul rmatmul bmm mm mv dot vdot inner outer ger kron cdist tensordot einsum
        baddbmm addbmm addmm addmv addr linalg_matmul linalg_multi_dot chain_matmul bilinear cross
        linalg_cross linalg_vecdot scaled_dot_product_attention
    """,
    across: "group_norm local_response_norm cosine_similarity pairwise_distance glu_jvp",
    last_axes: "layer_norm rms_norm",
    triangle: "tril triu",
    extreme: "max min",
    move: "flatten ravel permute transpose swapaxes swapdims unsqueeze movedim moveaxis t adjoint",
    attribute: "getattr",
    reshape: "view reshape expand expand_as broadcast_to",
    unflatten: "unflatten",
    repeat: "repeat tile repeat_interleave",
    select: """
        getitem split narrow select unbind split_with_sizes tensor_split unsafe_split
    """,
    chunk: "chunk unsafe_chunk",
    concatenate: "cat concat concatenate hstack column_stack vstack row_stack",
    stack: "stack",
    functional: """
        conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear
    """,
    per_channel: "batch_norm instance_norm prelu",
    pad: "pad _pad",
    squeeze: "squeeze",
    glu: "glu",
    blocks: "pixel_shuffle pixel_unshuffle fold unfold",
    shuffle: "channel_shuffle native_channel_shuffle",
    unpool: "max_unpool1d max_unpool2d max_unpool3d",
    sample: "grid_sample",
}
FUNCTIONS = {name: rule for rule, names in _FUNCTIONS.items() for name in names.split()}
METHODS = {"unfold": windows}  # where a method differs from the function of its name
_MODULES: dict[Callable[[Op], object], str] = {
    keep: """
        ReLU ReLU6 LeakyReLU RReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh
        Sigmoid LogSigmoid Tanh Tanhshrink Hardshrink Softshrink Softplus Softsign Threshold
        Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout Identity
    """,
    pool: """
        MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d
        AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
        AdaptiveMaxPool3d Upsample UpsamplingNearest2d UpsamplingBilinear2d CircularPad1d
        CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d
        ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d
        ZeroPad2d ZeroPad3d
    """,
    per_channel: """
        BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm InstanceNorm1d InstanceNorm2d
        InstanceNorm3d PReLU
    """,
    across: """
        GroupNorm LocalResponseNorm CrossMapLRN2d Softmax2d CosineSimilarity PairwiseDistance
    """,
    last_axes: "LayerNorm RMSNorm",
    lines: "Softmax Softmin LogSoftmax",
    conv: "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    linear: "Linear",
    embedding: "Embedding",
    move: "Flatten",
    unflatten: "Unflatten",
    glu: "GLU",
    blocks: "PixelShuffle PixelUnshuffle Fold Unfold",
    shuffle: "ChannelShuffle",
    unpool: "MaxUnpool1d MaxUnpool2d MaxUnpool3d",
}
MODULES: dict[type, Callable[[Op], object]] = {
    getattr(nn, name): rule for rule, names in _MODULES.items() for name in names.split()
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
    if op == "call_method" and name in METHODS:
        return METHODS[name]
    return FUNCTIONS.get(name) or FUNCTIONS.get(plain(name))

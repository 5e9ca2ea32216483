"""The operations of fastnorm in plain NumPy.

The same names and arguments as the compiled functions, written to be read: this module is where
the formulas are, what the tests compare with, and the baseline of the benchmarks.

Layouts are channels-last. ``axis`` is the first of the trailing axes that carry ``gamma`` and
``beta``, so the features are ``x.shape[axis:]``: `layer_norm` normalizes over them, `batch_norm`
over all the other axes.

By default everything is computed in the dtype of ``x``, the way such code is usually written, with
the accuracy that this has. ``dtype=np.float64`` or ``dtype=np.longdouble`` computes, and returns,
in that dtype instead, with a mean that holds its digits however large it is; the tests take that
as the truth.
"""

from fastnorm.reference._activations import (
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    tanh,
    tanh_backward,
)
from fastnorm.reference._addnorm import add_layer_norm, add_layer_norm_backward, add_rms_norm, add_rms_norm_backward
from fastnorm.reference._batchnorm import batch_norm, batch_norm_backward
from fastnorm.reference._clipping import clip_by_global_norm, clip_by_value, global_norm
from fastnorm.reference._dropout import dropout, dropout_backward
from fastnorm.reference._groupnorm import (
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
)
from fastnorm.reference._inference import batch_norm_inference, batch_norm_inference_backward
from fastnorm.reference._layernorm import layer_norm, layer_norm_backward
from fastnorm.reference._penalties import elastic_net_penalty, l1_penalty, l2_penalty, soft_threshold
from fastnorm.reference._rmsnorm import rms_norm, rms_norm_backward

__all__ = [
    "add_layer_norm",
    "add_layer_norm_backward",
    "add_rms_norm",
    "add_rms_norm_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_inference",
    "batch_norm_inference_backward",
    "clip_by_global_norm",
    "clip_by_value",
    "dropout",
    "dropout_backward",
    "elastic_net_penalty",
    "gelu",
    "gelu_backward",
    "global_norm",
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "l1_penalty",
    "l2_penalty",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "soft_threshold",
    "tanh",
    "tanh_backward",
]

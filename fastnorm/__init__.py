"""BatchNorm, LayerNorm, RMSNorm, dropout, activations, penalties and clipping for NumPy, forward and backward."""

from fastnorm import reference
from fastnorm._activations import (
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
from fastnorm._addnorm import add_layer_norm, add_layer_norm_backward, add_rms_norm, add_rms_norm_backward
from fastnorm._batchnorm import batch_norm, batch_norm_backward
from fastnorm._c_api import get_include
from fastnorm._clipping import clip_by_global_norm, clip_by_value, global_norm
from fastnorm._core import (
    __cpu_features__,
    empty_cache,
    get_num_threads,
    set_cache_limit,
    set_num_threads,
    show_config,
    threads,
)
from fastnorm._dropout import dropout, dropout_backward, dropout_key
from fastnorm._groupnorm import group_norm, group_norm_backward, instance_norm, instance_norm_backward
from fastnorm._inference import batch_norm_inference, batch_norm_inference_backward
from fastnorm._layernorm import layer_norm, layer_norm_backward
from fastnorm._penalties import elastic_net_penalty, l1_penalty, l2_penalty, soft_threshold
from fastnorm._rmsnorm import rms_norm, rms_norm_backward
from fastnorm._version import version as __version__

try:
    from fastnorm import _threadpoolctl as _threadpoolctl
except ImportError:
    pass  # threadpoolctl is not there, and need not be

__all__ = [
    "__cpu_features__",
    "__version__",
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
    "dropout_key",
    "elastic_net_penalty",
    "empty_cache",
    "gelu",
    "gelu_backward",
    "get_include",
    "get_num_threads",
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
    "reference",
    "relu",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "set_cache_limit",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "soft_threshold",
    "tanh",
    "tanh_backward",
    "threads",
]

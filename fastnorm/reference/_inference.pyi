"""Types of the reference of BatchNorm with statistics that are given."""

from typing import SupportsIndex, overload

from numpy.typing import DTypeLike

from fastnorm._arguments import _Array, _Floats, _Number

def batch_norm_inference(
    x: _Array,
    running_mean: _Array,
    running_var: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    residual: _Array | None = None,
    activation: str | None = None,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> _Floats: ...
@overload
def batch_norm_inference_backward(
    dy: _Array,
    x: _Array,
    running_mean: _Array,
    running_var: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    beta: _Array | None = None,
    residual: None = None,
    activation: str | None = None,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, None, _Floats]: ...
@overload
def batch_norm_inference_backward(
    dy: _Array,
    x: _Array,
    running_mean: _Array,
    running_var: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    beta: _Array | None = None,
    residual: None = None,
    activation: str | None = None,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
@overload
def batch_norm_inference_backward(
    dy: _Array,
    x: _Array,
    running_mean: _Array,
    running_var: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    beta: _Array | None = None,
    residual: _Array,
    activation: str | None = None,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, None, _Floats, _Floats]: ...
@overload
def batch_norm_inference_backward(
    dy: _Array,
    x: _Array,
    running_mean: _Array,
    running_var: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    beta: _Array | None = None,
    residual: _Array,
    activation: str | None = None,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...

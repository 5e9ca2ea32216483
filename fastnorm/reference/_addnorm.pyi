"""Types of the reference of residual and normalization."""

from typing import Literal, SupportsIndex, TypeAlias, overload

from numpy.typing import DTypeLike

from fastnorm._arguments import _Array, _Floats, _Number

_Key: TypeAlias = tuple[SupportsIndex, SupportsIndex]

@overload
def add_layer_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: Literal[False] = False,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats]: ...
@overload
def add_layer_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: Literal[True],
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...
@overload
def add_layer_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: bool = False,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats] | tuple[_Floats, _Floats, _Floats, _Floats]: ...
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats | None, _Floats]: ...
@overload
def add_rms_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: Literal[False] = False,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats]: ...
@overload
def add_rms_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: Literal[True],
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
@overload
def add_rms_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: bool = False,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats] | tuple[_Floats, _Floats, _Floats]: ...
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: _Array,
    rstd: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats | None]: ...

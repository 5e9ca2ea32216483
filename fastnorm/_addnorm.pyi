"""Types of residual and normalization."""

from typing import Literal, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from fastnorm._arguments import _Array, _Float, _Floats, _Number, _Statistics, _Stored

_Key: TypeAlias = tuple[SupportsIndex, SupportsIndex]

@overload
def add_layer_norm(
    x: NDArray[_Stored],
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: Literal[False] = False,
) -> tuple[NDArray[_Stored], NDArray[_Stored]]: ...
@overload
def add_layer_norm(
    x: NDArray[_Stored],
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: Literal[True],
) -> tuple[NDArray[_Stored], NDArray[_Stored], _Statistics, _Statistics]: ...
@overload
def add_layer_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: Literal[False] = False,
) -> tuple[_Floats, _Floats]: ...
@overload
def add_layer_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: Literal[True],
) -> tuple[_Floats, _Floats, _Statistics, _Statistics]: ...
@overload
def add_layer_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    return_stats: bool = False,
) -> tuple[_Floats, _Floats] | tuple[_Floats, _Floats, _Statistics, _Statistics]: ...
@overload
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[np.float16],
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
) -> tuple[NDArray[np.float16], NDArray[np.float16], None, NDArray[np.float32]]: ...
@overload
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
) -> tuple[NDArray[_Float], NDArray[_Float], None, NDArray[_Float]]: ...
@overload
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[np.float16],
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]: ...
@overload
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
) -> tuple[NDArray[_Float], NDArray[_Float], NDArray[_Float], NDArray[_Float]]: ...
@overload
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
) -> tuple[_Floats, _Floats, None, _Floats]: ...
@overload
def add_layer_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...
@overload
def add_rms_norm(
    x: NDArray[_Stored],
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: Literal[False] = False,
) -> tuple[NDArray[_Stored], NDArray[_Stored]]: ...
@overload
def add_rms_norm(
    x: NDArray[_Stored],
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: Literal[True],
) -> tuple[NDArray[_Stored], NDArray[_Stored], _Statistics]: ...
@overload
def add_rms_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: Literal[False] = False,
) -> tuple[_Floats, _Floats]: ...
@overload
def add_rms_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: Literal[True],
) -> tuple[_Floats, _Floats, _Statistics]: ...
@overload
def add_rms_norm(
    x: _Array,
    residual: _Array,
    gamma: _Array | None = None,
    *,
    p: _Number = 0.0,
    key: _Key | np.random.Generator | None = None,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    return_stats: bool = False,
) -> tuple[_Floats, _Floats] | tuple[_Floats, _Floats, _Statistics]: ...
@overload
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[np.float16],
    rstd: _Array,
    gamma: None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
) -> tuple[NDArray[np.float16], NDArray[np.float16], None]: ...
@overload
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[_Float],
    rstd: _Array,
    gamma: None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
) -> tuple[NDArray[_Float], NDArray[_Float], None]: ...
@overload
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[np.float16],
    rstd: _Array,
    gamma: _Array,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float32]]: ...
@overload
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: NDArray[_Float],
    rstd: _Array,
    gamma: _Array,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
) -> tuple[NDArray[_Float], NDArray[_Float], NDArray[_Float]]: ...
@overload
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
) -> tuple[_Floats, _Floats, None]: ...
@overload
def add_rms_norm_backward(
    dy: _Array,
    dsum: _Array | None,
    sum: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    p: _Number = 0.0,
    key: _Key | None = None,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
) -> tuple[_Floats, _Floats, _Floats]: ...

"""Types of RMSNorm."""

from typing import Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from fastnorm._arguments import _Array, _Float, _Floats, _Number, _Statistics, _Stored

@overload
def rms_norm(
    x: NDArray[_Stored],
    gamma: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    out: NDArray[_Stored] | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[_Stored]: ...
@overload
def rms_norm(
    x: NDArray[_Stored],
    gamma: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    out: NDArray[_Stored] | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[_Stored], _Statistics]: ...
@overload
def rms_norm(
    x: _Array,
    gamma: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    out: _Floats | None = None,
    return_stats: Literal[False] = False,
) -> _Floats: ...
@overload
def rms_norm(
    x: _Array,
    gamma: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    out: _Floats | None = None,
    return_stats: Literal[True],
) -> tuple[_Floats, _Statistics]: ...
@overload
def rms_norm(
    x: _Array,
    gamma: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    offset: _Number = 0.0,
    out: _Floats | None = None,
    return_stats: bool = False,
) -> _Floats | tuple[_Floats, _Statistics]: ...
@overload
def rms_norm_backward(
    dy: _Array,
    x: NDArray[np.float16],
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    out: NDArray[np.float16] | None = None,
) -> tuple[NDArray[np.float16], None]: ...
@overload
def rms_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], None]: ...
@overload
def rms_norm_backward(
    dy: _Array,
    x: NDArray[np.float16],
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    out: NDArray[np.float16] | None = None,
) -> tuple[NDArray[np.float16], NDArray[np.float32]]: ...
@overload
def rms_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], NDArray[_Float]]: ...
@overload
def rms_norm_backward(
    dy: _Array,
    x: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    out: _Floats | None = None,
) -> tuple[_Floats, None]: ...
@overload
def rms_norm_backward(
    dy: _Array,
    x: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    offset: _Number = 0.0,
    out: _Floats | None = None,
) -> tuple[_Floats, _Floats]: ...

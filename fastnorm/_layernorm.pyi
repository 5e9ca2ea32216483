"""Types of LayerNorm."""

from typing import Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from fastnorm._arguments import _Array, _Float, _Floats, _Number, _Statistics, _Stored

@overload
def layer_norm(
    x: NDArray[_Stored],
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    activation: str | None = None,
    where: _Array | None = None,
    out: NDArray[_Stored] | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[_Stored]: ...
@overload
def layer_norm(
    x: NDArray[_Stored],
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    activation: str | None = None,
    where: _Array | None = None,
    out: NDArray[_Stored] | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[_Stored], _Statistics, _Statistics]: ...
@overload
def layer_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    activation: str | None = None,
    where: _Array | None = None,
    out: _Floats | None = None,
    return_stats: Literal[False] = False,
) -> _Floats: ...
@overload
def layer_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    activation: str | None = None,
    where: _Array | None = None,
    out: _Floats | None = None,
    return_stats: Literal[True],
) -> tuple[_Floats, _Statistics, _Statistics]: ...
@overload
def layer_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    activation: str | None = None,
    where: _Array | None = None,
    out: _Floats | None = None,
    return_stats: bool = False,
) -> _Floats | tuple[_Floats, _Statistics, _Statistics]: ...
@overload
def layer_norm_backward(
    dy: _Array,
    x: NDArray[np.float16],
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    activation: str | None = None,
    where: _Array | None = None,
    out: NDArray[np.float16] | None = None,
) -> tuple[NDArray[np.float16], None, NDArray[np.float32]]: ...
@overload
def layer_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    activation: str | None = None,
    where: _Array | None = None,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], None, NDArray[_Float]]: ...
@overload
def layer_norm_backward(
    dy: _Array,
    x: NDArray[np.float16],
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    activation: str | None = None,
    where: _Array | None = None,
    out: NDArray[np.float16] | None = None,
) -> tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]: ...
@overload
def layer_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    activation: str | None = None,
    where: _Array | None = None,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], NDArray[_Float], NDArray[_Float]]: ...
@overload
def layer_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    activation: str | None = None,
    where: _Array | None = None,
    out: _Floats | None = None,
) -> tuple[_Floats, None, _Floats]: ...
@overload
def layer_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    activation: str | None = None,
    where: _Array | None = None,
    out: _Floats | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...

"""Types of BatchNorm."""

from typing import Literal, SupportsIndex, overload

from numpy.typing import ArrayLike, NDArray

from fastnorm._arguments import _Array, _Float, _Floats, _Number, _Running, _Statistics

@overload
def batch_norm(
    x: NDArray[_Float],
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    running_mean: _Running | None = None,
    running_var: _Running | None = None,
    momentum: _Number = 0.1,
    unbiased: bool = True,
    residual: _Array | None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: NDArray[_Float] | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[_Float]: ...
@overload
def batch_norm(
    x: NDArray[_Float],
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    running_mean: _Running | None = None,
    running_var: _Running | None = None,
    momentum: _Number = 0.1,
    unbiased: bool = True,
    residual: _Array | None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: NDArray[_Float] | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[_Float], _Statistics, _Statistics]: ...
@overload
def batch_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    running_mean: _Running | None = None,
    running_var: _Running | None = None,
    momentum: _Number = 0.1,
    unbiased: bool = True,
    residual: _Array | None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
    return_stats: Literal[False] = False,
) -> _Floats: ...
@overload
def batch_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    running_mean: _Running | None = None,
    running_var: _Running | None = None,
    momentum: _Number = 0.1,
    unbiased: bool = True,
    residual: _Array | None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
    return_stats: Literal[True],
) -> tuple[_Floats, _Statistics, _Statistics]: ...
@overload
def batch_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    axis: SupportsIndex = -1,
    eps: _Number = 1e-5,
    running_mean: _Running | None = None,
    running_var: _Running | None = None,
    momentum: _Number = 0.1,
    unbiased: bool = True,
    residual: _Array | None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
    return_stats: bool = False,
) -> _Floats | tuple[_Floats, _Statistics, _Statistics]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], None, NDArray[_Float]]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], NDArray[_Float], NDArray[_Float]]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: _Array,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], None, NDArray[_Float], NDArray[_Float]]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: NDArray[_Float],
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: _Array,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: NDArray[_Float] | None = None,
) -> tuple[NDArray[_Float], NDArray[_Float], NDArray[_Float], NDArray[_Float]]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
) -> tuple[_Floats, None, _Floats]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: None = None,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: _Array,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
) -> tuple[_Floats, None, _Floats, _Floats]: ...
@overload
def batch_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    axis: SupportsIndex = -1,
    beta: _Array | None = None,
    residual: _Array,
    activation: str | None = None,
    where: ArrayLike | None = None,
    out: _Floats | None = None,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...

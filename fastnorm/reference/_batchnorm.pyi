"""Types of the reference of BatchNorm."""

from typing import Literal, SupportsIndex, overload

from numpy.typing import ArrayLike, DTypeLike

from fastnorm._arguments import _Array, _Floats, _Number, _Running

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
    dtype: DTypeLike | None = None,
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
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
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
    dtype: DTypeLike | None = None,
) -> _Floats | tuple[_Floats, _Floats, _Floats]: ...
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
    dtype: DTypeLike | None = None,
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
    dtype: DTypeLike | None = None,
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
    dtype: DTypeLike | None = None,
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
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...

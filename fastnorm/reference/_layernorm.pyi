"""Types of the reference of LayerNorm."""

from typing import Literal, SupportsIndex, overload

from numpy.typing import DTypeLike

from fastnorm._arguments import _Array, _Floats, _Number

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
    dtype: DTypeLike | None = None,
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
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
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
    dtype: DTypeLike | None = None,
) -> _Floats | tuple[_Floats, _Floats, _Floats]: ...
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
    dtype: DTypeLike | None = None,
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
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...

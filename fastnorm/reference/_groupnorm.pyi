"""Types of the reference of GroupNorm and InstanceNorm."""

from typing import Literal, SupportsIndex, overload

from numpy.typing import DTypeLike

from fastnorm._arguments import _Array, _Floats, _Number

@overload
def group_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    groups: SupportsIndex,
    eps: _Number = 1e-5,
    out: _Floats | None = None,
    return_stats: Literal[False] = False,
    dtype: DTypeLike | None = None,
) -> _Floats: ...
@overload
def group_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    groups: SupportsIndex,
    eps: _Number = 1e-5,
    out: _Floats | None = None,
    return_stats: Literal[True],
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
@overload
def group_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    groups: SupportsIndex,
    eps: _Number = 1e-5,
    out: _Floats | None = None,
    return_stats: bool = False,
    dtype: DTypeLike | None = None,
) -> _Floats | tuple[_Floats, _Floats, _Floats]: ...
@overload
def group_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, None, _Floats]: ...
@overload
def group_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
@overload
def instance_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    eps: _Number = 1e-5,
    out: _Floats | None = None,
    return_stats: Literal[False] = False,
    dtype: DTypeLike | None = None,
) -> _Floats: ...
@overload
def instance_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    eps: _Number = 1e-5,
    out: _Floats | None = None,
    return_stats: Literal[True],
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
@overload
def instance_norm(
    x: _Array,
    gamma: _Array | None = None,
    beta: _Array | None = None,
    *,
    eps: _Number = 1e-5,
    out: _Floats | None = None,
    return_stats: bool = False,
    dtype: DTypeLike | None = None,
) -> _Floats | tuple[_Floats, _Floats, _Floats]: ...
@overload
def instance_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: None = None,
    *,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, None, _Floats]: ...
@overload
def instance_norm_backward(
    dy: _Array,
    x: _Array,
    mean: _Array,
    rstd: _Array,
    gamma: _Array,
    *,
    out: _Floats | None = None,
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...

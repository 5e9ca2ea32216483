"""Types of the reference of dropout."""

from typing import Literal, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastnorm._arguments import _Array, _Floats, _Number

_Key: TypeAlias = tuple[SupportsIndex, SupportsIndex]

@overload
def dropout(
    x: _Array,
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: _Floats | None = None,
    return_mask: Literal[False] = False,
    dtype: DTypeLike | None = None,
) -> _Floats: ...
@overload
def dropout(
    x: _Array,
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: _Floats | None = None,
    return_mask: Literal[True],
    dtype: DTypeLike | None = None,
) -> tuple[_Floats, NDArray[np.uint8]]: ...
@overload
def dropout(
    x: _Array,
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: _Floats | None = None,
    return_mask: bool = False,
    dtype: DTypeLike | None = None,
) -> _Floats | tuple[_Floats, NDArray[np.uint8]]: ...
def dropout_backward(
    dy: _Array, p: _Number, key: _Key, *, out: _Floats | None = None, dtype: DTypeLike | None = None
) -> _Floats: ...

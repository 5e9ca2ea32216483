"""Types of dropout."""

from typing import Literal, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from fastnorm._arguments import _Array, _Float, _Floats, _Number

_Key: TypeAlias = tuple[SupportsIndex, SupportsIndex]

def dropout_key(rng: np.random.Generator) -> tuple[int, int]: ...
@overload
def dropout(
    x: NDArray[_Float],
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: NDArray[_Float] | None = None,
    return_mask: Literal[False] = False,
) -> NDArray[_Float]: ...
@overload
def dropout(
    x: NDArray[_Float],
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: NDArray[_Float] | None = None,
    return_mask: Literal[True],
) -> tuple[NDArray[_Float], NDArray[np.uint8]]: ...
@overload
def dropout(
    x: _Array,
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: _Floats | None = None,
    return_mask: Literal[False] = False,
) -> _Floats: ...
@overload
def dropout(
    x: _Array, p: _Number, key: _Key | np.random.Generator, *, out: _Floats | None = None, return_mask: Literal[True]
) -> tuple[_Floats, NDArray[np.uint8]]: ...
@overload
def dropout(
    x: _Array, p: _Number, key: _Key | np.random.Generator, *, out: _Floats | None = None, return_mask: bool = False
) -> _Floats | tuple[_Floats, NDArray[np.uint8]]: ...
@overload
def dropout_backward(
    dy: NDArray[_Float], p: _Number, key: _Key, *, out: NDArray[_Float] | None = None
) -> NDArray[_Float]: ...
@overload
def dropout_backward(dy: _Array, p: _Number, key: _Key, *, out: _Floats | None = None) -> _Floats: ...

"""Types of dropout."""

from typing import Literal, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from fastnorm._arguments import _Array, _Floats, _Number, _Stored

_Key: TypeAlias = tuple[SupportsIndex, SupportsIndex]

def dropout_key(rng: np.random.Generator) -> tuple[int, int]: ...
@overload
def dropout(
    x: NDArray[_Stored],
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: NDArray[_Stored] | None = None,
    return_mask: Literal[False] = False,
) -> NDArray[_Stored]: ...
@overload
def dropout(
    x: NDArray[_Stored],
    p: _Number,
    key: _Key | np.random.Generator,
    *,
    out: NDArray[_Stored] | None = None,
    return_mask: Literal[True],
) -> tuple[NDArray[_Stored], NDArray[np.uint8]]: ...
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
    dy: NDArray[_Stored], p: _Number, key: _Key, *, out: NDArray[_Stored] | None = None
) -> NDArray[_Stored]: ...
@overload
def dropout_backward(dy: _Array, p: _Number, key: _Key, *, out: _Floats | None = None) -> _Floats: ...

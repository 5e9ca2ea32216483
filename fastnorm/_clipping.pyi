"""Types of the clipping."""

from typing import Any, overload

from numpy.typing import NDArray

from fastnorm._arguments import _Array, _Floats, _Number, _Stored
from fastnorm._lists import _Arrays, _Written, _WrittenList

@overload
def clip_by_value(
    g: NDArray[_Stored], low: _Number, high: _Number, out: NDArray[_Stored] | None = None
) -> NDArray[_Stored]: ...
@overload
def clip_by_value(g: list[Any] | tuple[Any, ...], low: _Number, high: _Number, out: None = None) -> list[_Floats]: ...
@overload
def clip_by_value(g: list[Any] | tuple[Any, ...], low: _Number, high: _Number, out: _WrittenList) -> _WrittenList: ...
@overload
def clip_by_value(g: _Array, low: _Number, high: _Number, out: _Floats | None = None) -> _Floats | list[_Floats]: ...
def global_norm(arrays: _Arrays) -> float: ...
def clip_by_global_norm(arrays: _Written, max_norm: _Number) -> float: ...

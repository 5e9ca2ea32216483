"""Types of the reference of clipping."""

from collections.abc import Sequence

from numpy.typing import DTypeLike

from fastnorm._arguments import _Floats, _Number
from fastnorm._lists import _Arrays, _Written

def clip_by_value(
    g: _Arrays, low: _Number, high: _Number, out: _Written | None = None, *, dtype: DTypeLike | None = None
) -> _Floats | Sequence[_Floats]: ...
def global_norm(arrays: _Arrays, *, dtype: DTypeLike | None = None) -> float: ...
def clip_by_global_norm(arrays: _Written, max_norm: _Number, *, dtype: DTypeLike | None = None) -> float: ...

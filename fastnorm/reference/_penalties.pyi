"""Types of the reference of penalties."""

from collections.abc import Sequence

from numpy.typing import DTypeLike

from fastnorm._arguments import _Floats, _Number
from fastnorm._lists import _Arrays, _Written

def l1_penalty(
    w: _Arrays, strength: _Number, grad: _Written | None = None, *, dtype: DTypeLike | None = None
) -> float: ...
def l2_penalty(
    w: _Arrays, strength: _Number, grad: _Written | None = None, *, dtype: DTypeLike | None = None
) -> float: ...
def elastic_net_penalty(
    w: _Arrays, l1: _Number, l2: _Number, grad: _Written | None = None, *, dtype: DTypeLike | None = None
) -> float: ...
def soft_threshold(
    w: _Arrays, step: _Number, out: _Written | None = None, *, dtype: DTypeLike | None = None
) -> _Floats | Sequence[_Floats]: ...

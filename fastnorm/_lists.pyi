"""What the stubs of families of lists take: a list or tuple is always one of arrays."""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from numpy.typing import NDArray

from fastnorm._arguments import _Floats, _HasDLPack

_Arrays: TypeAlias = NDArray[Any] | Sequence[NDArray[Any]] | _HasDLPack
_Written: TypeAlias = _Floats | Sequence[_Floats]
_WrittenList = TypeVar("_WrittenList", bound=Sequence[_Floats])

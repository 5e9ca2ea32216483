"""What the stubs of all families take and return. One family, one name: _<family>.pyi is beside _<family>.pyx."""

from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

# x's dtype, which y and dx have too
_Float = TypeVar("_Float", bound=np.float32 | np.float64)
# where half precision is taken, too; of ml_dtypes' bfloat16 type checkers know nothing
_Stored = TypeVar("_Stored", bound=np.float16 | np.float32 | np.float64)

class _HasDLPack(Protocol):
    def __dlpack__(self) -> object: ...

# Whatever _arguments.pyx reads: of numbers that are not known to be float32 or float64, results are only _Floats.
_Array: TypeAlias = ArrayLike | _HasDLPack
_Number: TypeAlias = float | np.floating[Any] | np.integer[Any]
_Floats: TypeAlias = NDArray[np.floating[Any]]
_Statistics: TypeAlias = NDArray[np.float64]
_Running: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

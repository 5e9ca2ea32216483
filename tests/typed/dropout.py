"""What a type checker and a run must both say of dropout."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

x32 = np.ones((2, 3), np.float32)
rng = np.random.default_rng(0)

key = fastnorm.dropout_key(rng)
assert_type(key, tuple[int, int])
assert_type(fastnorm.dropout(x32, 0.5, key), NDArray[np.float32])
assert_type(fastnorm.dropout([1, 2], 0.5, rng), NDArray[np.floating[Any]])
assert_type(fastnorm.dropout(np.ones(3, np.float16), 0.5, key), NDArray[np.float16])

y, mask = fastnorm.dropout(x32, 0.5, (np.uint64(1), 0), out=x32, return_mask=True)
assert_type(y, NDArray[np.float32])
assert_type(mask, NDArray[np.uint8])
assert_type(fastnorm.dropout_backward(y, 0.5, key), NDArray[np.float32])

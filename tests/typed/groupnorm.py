"""What a type checker and a run must both say of GroupNorm and InstanceNorm."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

x32 = np.ones((2, 3, 4), np.float32)
x64 = np.ones((2, 3, 4))

assert_type(fastnorm.group_norm(x32, groups=2), NDArray[np.float32])
assert_type(fastnorm.group_norm(x64, [1.0, 2.0, 3.0, 4.0], groups=np.int64(4), out=x64), NDArray[np.float64])
assert_type(fastnorm.group_norm([[1, 2, 3]], groups=1), NDArray[np.floating[Any]])
assert_type(fastnorm.instance_norm(x32), NDArray[np.float32])

y, mean, rstd = fastnorm.group_norm(x32, groups=2, eps=np.float32(1e-6), return_stats=True)
assert_type(y, NDArray[np.float32])
assert_type(mean, NDArray[np.float64])
assert_type(fastnorm.group_norm_backward(y, x32, mean, rstd), tuple[NDArray[np.float32], None, NDArray[np.float32]])
assert_type(
    fastnorm.group_norm_backward(y, x32, mean, rstd, np.ones(4)),
    tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
)

y, mean, rstd = fastnorm.instance_norm(x32, return_stats=True)
assert_type(rstd, NDArray[np.float64])
assert_type(fastnorm.instance_norm_backward(y, x32, mean, rstd), tuple[NDArray[np.float32], None, NDArray[np.float32]])

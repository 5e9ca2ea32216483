"""What a type checker and a run must both say of the activations."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

x32 = np.ones((2, 3), np.float32)
x64 = np.ones((2, 3))

y = fastnorm.relu(x32)
assert_type(y, NDArray[np.float32])
assert_type(fastnorm.relu_backward(x64, y), NDArray[np.float32])
assert_type(fastnorm.leaky_relu(x64, slope=1), NDArray[np.float64])
assert_type(fastnorm.sigmoid([1, 2]), NDArray[np.floating[Any]])
assert_type(fastnorm.gelu(x32, approximate="tanh", out=x32), NDArray[np.float32])
assert_type(fastnorm.gelu_backward(x32, x64), NDArray[np.float64])
assert_type(fastnorm.silu(np.ones(3, np.float16)), NDArray[np.float16])
assert_type(fastnorm.silu_backward(x32, [[1, 2, 3]] * 2), NDArray[np.floating[Any]])

"""What a type checker and a run must both say of penalties and clipping, which take lists."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastnorm

w32, w64 = np.ones((2, 3), np.float32), np.ones(3)
grad32, grad64 = np.zeros_like(w32), np.zeros_like(w64)

assert_type(fastnorm.l1_penalty(w32, 0.1), float)
assert_type(fastnorm.l2_penalty([w32, w64], 1, [grad32, grad64]), float)
assert_type(fastnorm.elastic_net_penalty(w64, 0.1, 0.2, grad64), float)
assert_type(fastnorm.soft_threshold(w32, 0.1), NDArray[np.float32])
assert_type(fastnorm.soft_threshold(w32.astype(np.float16), 0.1), NDArray[np.float16])
assert_type(fastnorm.l1_penalty(w32.astype(np.float16), 0.1, w32.astype(np.float16)), float)
assert_type(fastnorm.soft_threshold([w32, w64], 0.1), list[NDArray[np.floating[Any]]])
assert_type(fastnorm.clip_by_value(grad64, -1, 1, out=grad64), NDArray[np.float64])
assert_type(fastnorm.clip_by_value((grad32, grad64), -1, 1), list[NDArray[np.floating[Any]]])
assert_type(fastnorm.global_norm([grad32, grad64]), float)
assert_type(fastnorm.clip_by_global_norm([grad32, grad64], 1.0), float)

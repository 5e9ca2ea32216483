"""What a type checker and a run must both say of the reference: the same names, results of some floating dtype."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from fastnorm import reference

x = np.ones((2, 3))
running_mean, running_var = np.zeros(3), np.ones(3)
Floats = NDArray[np.floating[Any]]

assert_type(reference.layer_norm(x, dtype=np.longdouble), Floats)
y, mean, rstd = reference.layer_norm(x, return_stats=True)
assert_type(mean, Floats)
assert_type(reference.layer_norm_backward(y, x, mean, rstd), tuple[Floats, None, Floats])
assert_type(reference.layer_norm_backward(y, x, mean, rstd, [1, 1, 1]), tuple[Floats, Floats, Floats])

y, rstd = reference.rms_norm(x, return_stats=True)
assert_type(reference.rms_norm_backward(y, x, rstd, np.ones(3)), tuple[Floats, Floats])

assert_type(reference.batch_norm(x, running_mean=running_mean, running_var=running_var), Floats)
assert_type(reference.batch_norm_inference(x, running_mean, running_var), Floats)
assert_type(reference.batch_norm_inference_backward(y, x, running_mean, running_var), tuple[Floats, None, Floats])

y, mean, rstd = reference.group_norm(x, groups=1, return_stats=True)
assert_type(reference.group_norm_backward(y, x, mean, rstd), tuple[Floats, None, Floats])
y, mean, rstd = reference.instance_norm(x, return_stats=True)
assert_type(reference.instance_norm_backward(y, x, mean, rstd, np.ones(3)), tuple[Floats, Floats, Floats])

assert_type(reference.dropout(x, 0.5, (1, 2), return_mask=True), tuple[Floats, NDArray[np.uint8]])
assert_type(reference.dropout_backward(x, 0.5, (1, 2)), Floats)

"""Calls that a type checker must refuse: an ignore that nothing needs is an error of mypy --strict. Never run."""

import numpy as np

import fastnorm

x = np.ones((2, 3), np.float32)
rng = np.random.default_rng(0)
integers = np.ones((2, 3), np.int64)

fastnorm.layer_norm()  # type: ignore[call-overload]
fastnorm.layer_norm(None)  # type: ignore[call-overload]
fastnorm.layer_norm(x, x, x, -1)  # type: ignore[call-overload]
fastnorm.layer_norm(x, eps="1")  # type: ignore[call-overload]
fastnorm.layer_norm(x, axis=1.0)  # type: ignore[call-overload]
fastnorm.layer_norm(x, out=[1.0])  # type: ignore[call-overload]
fastnorm.layer_norm(x, out=integers)  # type: ignore  # the code of this error depends on the version of mypy
fastnorm.batch_norm(x, running_mean=[0.0])  # type: ignore[call-overload]
fastnorm.rms_norm(x, return_stats=True).sum()  # type: ignore[attr-defined]
fastnorm.dropout(x, 0.5)  # type: ignore[call-overload]
fastnorm.dropout(x, 0.5, 1)  # type: ignore[call-overload]
fastnorm.dropout_backward(x, 0.5, rng)  # type: ignore[call-overload]
fastnorm.gelu(x, approximate="erf")  # type: ignore[call-overload]
fastnorm.clip_by_global_norm(x, "1")  # type: ignore[arg-type]
fastnorm.set_num_threads(1.5)  # type: ignore[arg-type]
_ = fastnorm.layernorm  # type: ignore[attr-defined]

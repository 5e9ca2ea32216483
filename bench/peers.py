"""The other libraries that fastnorm is timed against, each used when it is installed.

A peer is a class with one method for each operation it has a kernel for, under fastnorm's name of
the operation; the method prepares everything that is not the operation itself (tensors, sessions,
compilation) and returns a call without arguments. Each takes the fastest route that the library
documents for the operation, in inference mode, from tensors of its own. Where a library has no
kernel the method is missing, where it has none for a dtype the method returns None.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import warnings
from collections.abc import Callable

import numpy as np

from operations import EPS, Arrays
from peers_torch import PyTorch

Call = Callable[[], object]


class OnnxRuntime:
    label, modules, distribution = "ONNX Runtime", ("onnxruntime", "onnx"), "onnxruntime"

    def __init__(self, threads: int):
        import onnx
        import onnxruntime

        self.onnx, self.runtime = onnx, onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1
        self.options.log_severity_level = 4

    def _session(self, kind: str, x: np.ndarray, constants: tuple, **attributes) -> Call:
        helper, to_tensor = self.onnx.helper, self.onnx.numpy_helper.from_array
        names = [f"constant{i}" for i in range(len(constants))]
        of_type = helper.np_dtype_to_tensor_dtype(x.dtype)
        graph = helper.make_graph(
            [helper.make_node(kind, ["x", *names], ["y"], epsilon=EPS, **attributes)],
            kind,
            [helper.make_tensor_value_info("x", of_type, x.shape)],
            [helper.make_tensor_value_info("y", of_type, x.shape)],
            [to_tensor(np.ascontiguousarray(c), n) for c, n in zip(constants, names, strict=True)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        session = self.runtime.InferenceSession(
            model.SerializeToString(), self.options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, {"x": x})

    def layer_norm(self, a: Arrays) -> Call:
        return self._session("LayerNormalization", a.x, (a.gamma, a.beta), axis=a.axis)

    def batch_norm_inference(self, a: Arrays) -> Call:
        constants = (a.gamma, a.beta, a.running_mean, a.running_var)
        # As (rows, channels): ONNX wants channels second, and transposing would not be free.
        return self._session("BatchNormalization", a.flat(a.x), tuple(map(a.flat, constants)))


class TensorFlow:
    """BatchNorm in float32 only: its one compiled kernel. Its LayerNorm is composed in Python."""

    label, modules, distribution = "TensorFlow", ("tensorflow",), "tensorflow"

    def __init__(self, threads: int):
        import tensorflow as tf

        self.tf = tf
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)

    def _maps(self, a: Arrays, array: np.ndarray):
        """Every row as a map of one pixel: the kernel takes four axes, and flattens them."""
        rows = a.flat(array)
        return self.tf.constant(rows.reshape(len(rows), 1, 1, -1))

    def _forward(self, a: Arrays, training: bool) -> Call | None:
        if a.x.dtype != np.float32:
            return None
        x = self._maps(a, a.x)
        gamma, beta, mean, variance = (
            self.tf.constant(a.flat(p)) for p in (a.gamma, a.beta, a.running_mean, a.running_var)
        )
        return lambda: self.tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=gamma,
            offset=beta,
            mean=mean,
            variance=variance,
            epsilon=EPS,
            is_training=training,
        )

    def batch_norm(self, a: Arrays) -> Call | None:
        return self._forward(a, training=True)

    def batch_norm_inference(self, a: Arrays) -> Call | None:
        return self._forward(a, training=False)

    def batch_norm_backward(self, a: Arrays) -> Call | None:
        forward = self._forward(a, training=True)
        if forward is None:
            return None
        *_, first, second, third = forward()
        dy, x, gamma = self._maps(a, a.dy), self._maps(a, a.x), self.tf.constant(a.flat(a.gamma))
        return lambda: self.tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=dy,
            x=x,
            scale=gamma,
            reserve_space_1=first,
            reserve_space_2=second,
            reserve_space_3=third,
            epsilon=EPS,
            is_training=True,
        )


class Jax:
    """The formulas of the documentation's layers, compiled by XLA; gradients by jax.vjp."""

    label, modules, distribution = "JAX", ("jax",), "jax"

    def __init__(self, threads: int):
        import jax

        jax.config.update("jax_enable_x64", True)  # float32 stays float32
        self.jax = jax
        self.functions = {
            name: jax.jit(function)
            for name, function in {
                "layer_norm": self._normalize(-1),
                "batch_norm": self._normalize(0),
                "inference": self._apply,
                "layer_norm_backward": self._gradient(self._normalize(-1)),
                "batch_norm_backward": self._gradient(self._normalize(0)),
            }.items()
        }

    def _normalize(self, axis: int):
        def function(x, gamma, beta):
            mean = x.mean(axis, keepdims=True)
            variance = ((x - mean) ** 2).mean(axis, keepdims=True)
            return (x - mean) * self.jax.lax.rsqrt(variance + EPS) * gamma + beta

        return function

    def _apply(self, x, mean, variance, gamma, beta):
        return (x - mean) * (self.jax.lax.rsqrt(variance + EPS) * gamma) + beta

    def _gradient(self, forward):
        return lambda dy, x, gamma, beta: self.jax.vjp(forward, x, gamma, beta)[1](dy)

    def _call(self, name: str, a: Arrays, *arrays: np.ndarray) -> Call:
        function, ready = self.functions[name], self.jax.block_until_ready
        operands = [self.jax.numpy.asarray(a.flat(array)) for array in arrays]
        return lambda: ready(function(*operands))

    def layer_norm(self, a: Arrays) -> Call:
        return self._call("layer_norm", a, a.x, a.gamma, a.beta)

    def batch_norm(self, a: Arrays) -> Call:
        return self._call("batch_norm", a, a.x, a.gamma, a.beta)

    def batch_norm_inference(self, a: Arrays) -> Call:
        return self._call("inference", a, a.x, a.running_mean, a.running_var, a.gamma, a.beta)

    def layer_norm_backward(self, a: Arrays) -> Call:
        return self._call("layer_norm_backward", a, a.dy, a.x, a.gamma, a.beta)

    def batch_norm_backward(self, a: Arrays) -> Call:
        return self._call("batch_norm_backward", a, a.dy, a.x, a.gamma, a.beta)


class Numba:
    """Loops as a user of Numba writes them, with every speed option on (see peers_numba.py)."""

    label, modules, distribution = "Numba", ("numba",), "numba"

    def __init__(self, threads: int):
        import numba

        import peers_numba

        numba.set_num_threads(threads)
        self.compiled = peers_numba.compile_all(parallel=threads > 1)

    def _call(self, name: str, a: Arrays, *arrays: np.ndarray) -> Call:
        function = self.compiled[name]
        operands = [a.flat(array) for array in arrays]
        eps = a.x.dtype.type(EPS)
        return lambda: function(*operands, eps)

    def layer_norm(self, a: Arrays) -> Call:
        return self._call("layer_norm", a, a.x, a.gamma, a.beta)

    def batch_norm(self, a: Arrays) -> Call:
        return self._call("batch_norm", a, a.x, a.gamma, a.beta)

    def batch_norm_inference(self, a: Arrays) -> Call:
        return self._call("batch_norm_inference", a, a.x, a.running_mean, a.running_var, a.gamma, a.beta)


PEERS = (PyTorch, OnnxRuntime, TensorFlow, Jax, Numba)


def limit_threads(threads: int) -> None:
    """Tells libraries that read it from the environment when imported how many threads to use."""
    for name in ("OMP", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"


def installed() -> list[type]:
    return [p for p in PEERS if all(importlib.util.find_spec(module) for module in p.modules)]


def load(kinds: list[type], threads: int) -> list:
    """The peers, ready to use. One that is installed but broken is left out, aloud."""
    found = []
    for peer in kinds:
        try:
            found.append(peer(threads))
        except Exception as error:
            warnings.warn(f"{peer.label} is left out: {error!r}", stacklevel=2)
    return found


def version(peer) -> str:
    try:
        return importlib.metadata.version(peer.distribution)
    except importlib.metadata.PackageNotFoundError:  # a build under another name, such as -cpu
        return getattr(importlib.import_module(peer.modules[0]), "__version__", "?")


def prepare(peer, operation: str, arrays: Arrays) -> Call | None:
    """The peer's call for an operation, compiled and run once; None if it has no such kernel."""
    method = getattr(peer, operation, None)
    call = method(arrays) if method else None
    if call is not None:
        call()
    return call

"""PyTorch as a peer: its kernels, and the sequences of them that stand for fastnorm's fused options."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from operations import EPS, Arrays

Call = Callable[[], object]


class PyTorch:
    label, modules, distribution = "PyTorch", ("torch",), "torch"

    def __init__(self, threads: int):
        import torch

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        # Below torch.nn.functional, which only adds Python to the same kernels.
        self.kernels = torch.ops.aten

    def _tensor(self, array: np.ndarray):
        if array.dtype == "bfloat16":  # which from_numpy does not know
            return self.torch.from_numpy(array.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(array)

    def _tensors(self, *arrays: np.ndarray):
        return [self._tensor(array) for array in arrays]

    def layer_norm(self, a: Arrays) -> Call:
        x, gamma, beta = self._tensors(a.x, a.gamma, a.beta)
        return lambda: self.kernels.native_layer_norm(x, gamma.shape, gamma, beta, EPS)

    def layer_norm_backward(self, a: Arrays) -> Call:
        dy, gradients = self._tensor(a.dy), self._layer_norm_gradients(a)
        return lambda: gradients(dy)

    def _layer_norm_gradients(self, a: Arrays) -> Callable:
        """Of dy."""
        x, gamma, beta = self._tensors(a.x, a.gamma, a.beta)
        _, mean, rstd = self.kernels.native_layer_norm(x, gamma.shape, gamma, beta, EPS)
        return lambda dy: self.kernels.native_layer_norm_backward(
            dy, x, gamma.shape, mean, rstd, gamma, beta, [True] * 3
        )

    def _batch_norm(self, a: Arrays, statistics: tuple, training: bool) -> Call:
        # As (rows, channels): at least as fast as the same maps in torch's channels-last layout.
        x, gamma, beta, *running = self._tensors(*map(a.flat, (a.x, a.gamma, a.beta, *statistics)))
        running = running or [None, None]
        return lambda: self.kernels.native_batch_norm(x, gamma, beta, *running, training, 0.1, EPS)

    def batch_norm(self, a: Arrays) -> Call:
        return self._batch_norm(a, (), training=True)

    def batch_norm_inference(self, a: Arrays) -> Call:
        return self._batch_norm(a, (a.running_mean, a.running_var), training=False)

    def batch_norm_backward(self, a: Arrays) -> Call:
        dy, gradients = self._tensor(a.flat(a.dy)), self._batch_norm_gradients(a)
        return lambda: gradients(dy)

    def _batch_norm_gradients(self, a: Arrays) -> Callable:
        """Of dy."""
        x, gamma = self._tensors(*map(a.flat, (a.x, a.gamma)))
        _, mean, rstd = self._batch_norm(a, (), training=True)()
        return lambda dy: self.kernels.native_batch_norm_backward(
            dy, x, gamma, None, None, mean, rstd, True, EPS, [True] * 3
        )

    # What follows is for bench/fused.py alone. Steps work in place where PyTorch can.

    def finished(self, name: str, a: Arrays, activation: str, residual: bool = False) -> Call:
        """The operation of this name, the residual added, and the activation."""
        norm = getattr(self, name)(a)
        activate = getattr(self.kernels, activation + "_")
        flat = name != "layer_norm"
        added = self._tensor(a.flat(a.residual) if flat else a.residual) if residual else None

        def steps():
            y = norm()[0]
            if added is not None:
                y.add_(added)
            return activate(y)

        return steps

    def finished_backward(self, name: str, a: Arrays, activation: str, residual: bool = False) -> Call:
        """From dy behind the activation; what that needs of the forward pass has been kept."""
        of_rows = name == "layer_norm"
        dy, z, added = self._tensors(*(x if of_rows else a.flat(x) for x in (a.dy, self._z(name, a), a.residual)))
        gradients = self._layer_norm_gradients(a) if of_rows else self._batch_norm_gradients(a)
        if residual:
            z = z + added
        if activation == "gelu":
            return lambda: gradients(self.kernels.gelu_backward(dy, z))
        y = z.relu()

        def steps():
            dz = self.kernels.threshold_backward(dy, y, 0)  # with a residual its gradient, too
            return *gradients(dz), dz

        return steps

    def _z(self, name: str, a: Arrays) -> np.ndarray:
        return getattr(self, name)(a)()[0].numpy()

    def chosen_layer_norm(self, a: Arrays) -> Call:
        norm, left_out = self.layer_norm(a), self._tensor(~a.where).unsqueeze(-1)
        return lambda: norm()[0].masked_fill_(left_out, 0)

    def chosen_batch_norm(self, a: Arrays) -> Call:
        x, gamma, beta, where = self._tensors(a.x, a.gamma, a.beta, a.where)

        def steps():
            y = self.torch.zeros_like(x)
            y[where] = self.kernels.native_batch_norm(x[where], gamma, beta, None, None, True, 0.1, EPS)[0]
            return y

        return steps

    def add_layer_norm(self, a: Arrays, p: float = 0.0) -> Call:
        x, residual, gamma, beta = self._tensors(a.x, a.dy, a.gamma, a.beta)

        def steps():
            total = self.kernels.native_dropout(x, p, True)[0].add_(residual) if p else x + residual
            return self.kernels.native_layer_norm(total, gamma.shape, gamma, beta, EPS)[0], total

        return steps

    def add_layer_norm_backward(self, a: Arrays) -> Call:
        dy, gradients = self._tensor(a.dy), self._layer_norm_gradients(a)

        def steps():
            dx, dgamma, dbeta = gradients(dy)
            return dx.add_(dy), dgamma, dbeta

        return steps

    def rms_norm(self, a: Arrays) -> Call:
        x, gamma = self._tensors(a.x, a.gamma.astype(a.x.dtype))  # fused only in one dtype
        return lambda: self.torch.rms_norm(x, gamma.shape, gamma, EPS)

    def add_rms_norm(self, a: Arrays) -> Call:
        x, residual, gamma = self._tensors(a.x, a.dy, a.gamma)

        def steps():
            total = x + residual
            return self.torch.rms_norm(total, gamma.shape, gamma, EPS), total

        return steps

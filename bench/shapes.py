"""The shapes that the benchmarks run over, and the classes in which their results are averaged.

Every shape is one that a real network or table has. Adding one line to ``SHAPES`` benchmarks every
operation on it that normalizes what it names.
"""

import math
from dataclasses import dataclass

import numpy as np

KIB, MIB = 1024, 1024 * 1024

# Key: how the class reads in a table or on an axis. Sizes are those of x; short or narrow: rows of
# 128 elements at most, fewer than 64 channels or a number of channels that is no multiple of 16.
CLASSES = {
    "tiny": "tiny: up to 32 KiB",
    "narrow": "short or narrow",
    "small": "small: up to 1 MiB",
    "mid": "mid: up to 32 MiB",
    "large": "large: over 32 MiB",
}

# What an operation normalizes, each by itself.
ROWS, CHANNELS, GROUPS = "rows", "channels", "groups"
BOTH = (ROWS, CHANNELS)
IMAGES = (CHANNELS, GROUPS)
F32, F64 = ("float32",), ("float32", "float64")


@dataclass(frozen=True)
class Shape:
    """A named array shape; the axes from ``axis`` on carry gamma and beta."""

    name: str
    dims: tuple[int, ...]
    over: tuple[str, ...]
    dtypes: tuple[str, ...]
    axis: int = -1

    @property
    def label(self) -> str:
        """Name and extents for people, such as ``BERT rows 128x768``."""
        extents = "x".join(map(str, self.dims))
        return f"{self.name} {extents}" + (f" axis={self.axis}" if self.axis != -1 else "")

    @property
    def identifier(self) -> str:
        """The label without spaces, for test names."""
        return self.label.replace(" ", "_")

    @property
    def features(self) -> int:
        """Normalized length of a row norm, number of channels of a column norm."""
        return math.prod(self.dims[self.axis :])

    def nbytes(self, dtype: str) -> int:
        return math.prod(self.dims) * np.dtype(dtype).itemsize

    def size_class(self, over: str, dtype: str) -> str:
        """The key in ``CLASSES`` of this shape. Tiny wins over narrow, narrow over the rest."""
        size = self.nbytes(dtype)
        if size <= 32 * KIB:
            return "tiny"
        short_row = over == ROWS and self.features <= 128
        few_channels = over in IMAGES and (self.features < 64 or self.features % 16)
        if short_row or few_channels:
            return "narrow"
        if size <= MIB:
            return "small"
        return "mid" if size < 32 * MIB else "large"


# The class of a shape depends on the operation and the dtype; the order here is by float32 size. The largest
# arrays are float32 only: float64 moves the same bytes at half the size, and time is short.
SHAPES = (
    Shape("vectors", (8, 64), (ROWS, CHANNELS, GROUPS), F64),
    Shape("one token", (1, 768), (ROWS,), F64),
    Shape("RNN step", (16, 256), BOTH, F64),
    Shape("MLP", (32, 256), BOTH, F32),
    Shape("digits", (128, 64), (CHANNELS,), F32),
    Shape("LSTM step", (64, 512), BOTH, F64),
    Shape("ResNet-50", (1, 14, 14, 256), IMAGES, F64),
    Shape("attention", (128, 12, 64), (ROWS,), F64),
    Shape("BERT rows", (128, 768), (ROWS,), F64),
    Shape("odd table", (4096, 37), BOTH, F64),
    Shape("ResNet-50", (1, 56, 56, 64), IMAGES, F32),
    Shape("sequences", (8, 128, 256), BOTH, F32),
    Shape("RGB images", (16, 112, 112, 3), IMAGES, F64),
    Shape("GPT-2 rows", (1024, 768), (ROWS,), F64),
    Shape("ResNet-50", (32, 7, 7, 512), IMAGES, F32),
    Shape("maps", (64, 14, 14, 64), BOTH, F32, axis=1),
    Shape("ResNet-50", (16, 28, 28, 128), IMAGES, F64),
    Shape("Llama heads", (512, 32, 128), (ROWS,), F32),
    Shape("BERT batch", (32, 128, 768), (ROWS,), F32),
    Shape("Llama rows", (1024, 4096), (ROWS,), F64),
    Shape("ResNet-50", (8, 112, 112, 64), IMAGES, F64),
    Shape("Llama rows", (2048, 4096), (ROWS,), F32),
    Shape("GPT-2 batch", (64, 512, 768), (ROWS,), F32),
    Shape("ResNet-50", (32, 56, 56, 256), IMAGES, F32),
    Shape("million rows", (1_000_000, 30), BOTH, F32),
)

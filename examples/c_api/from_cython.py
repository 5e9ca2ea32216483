"""Builds rows.pyx, which calls layer_norm on raw pointers, and runs it.

python from_cython.py [FOLDER]   where to build; a temporary one if it is not said
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Distribution, Extension

import fastnorm

HERE = Path(__file__).resolve().parent


def build(folder):
    """Compile rows.pyx into a folder, from where it can be imported."""
    extension = Extension("rows", [str(HERE / "rows.pyx")], include_dirs=[fastnorm.get_include()])
    (module,) = cythonize([extension], build_dir=str(folder), quiet=True)
    distribution = Distribution({"name": "rows", "ext_modules": [module]})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder), str(folder)
    command.ensure_finalized()
    command.run()


def main(folder):
    build(folder)
    sys.path.insert(0, str(folder))
    import rows

    x = np.random.default_rng(0).standard_normal((1000, 768), np.float32)
    y = np.empty_like(x)
    rows.normalize_rows(x, y)
    assert np.array_equal(y, fastnorm.layer_norm(x))
    print("Cython: the same bits as fastnorm.layer_norm")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))

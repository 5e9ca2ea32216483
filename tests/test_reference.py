"""The reference itself: plain NumPy, computed as asked, and right by itself."""

import ast
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fastnorm import reference
from support.arrays import DTYPES, draw

forward = pytest.mark.parametrize("function, axis", [(reference.layer_norm, 1), (reference.batch_norm, 0)])


def test_it_imports_numpy_alone():
    imported = set()
    for path in Path(reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    packages = {name.split(".")[0] for name in imported if not name.startswith("fastnorm.reference")}
    assert packages - sys.stdlib_module_names == {"numpy"}


@forward
@pytest.mark.parametrize("distribution", ["normal", "mean_1e6", "cauchy", "sorted", "1e25"])
def test_long_double_against_exact_fractions(function, axis, distribution, rng):
    x = draw(distribution, rng, (30, 30), np.float64)
    y, mean, rstd = function(x, eps=0, return_stats=True, dtype=np.longdouble)
    if axis == 0:
        x, y = x.T, y.T
    for line, its_mean, its_rstd, its_y in zip(x, mean, rstd, y, strict=True):
        exact = [Fraction(a) for a in line.tolist()]
        exact_mean = sum(exact) / 30
        exact_var = sum((a - exact_mean) ** 2 for a in exact) / 30
        deviation = float(exact_var) ** 0.5
        eps = float(np.finfo(np.longdouble).eps)
        scale = max(abs(float(exact_mean)), deviation)
        assert abs(fraction(its_mean) - exact_mean) <= 4 * eps * scale
        assert abs(fraction(its_rstd) ** 2 * exact_var - 1) <= 16 * eps
        for a, b in zip(its_y, exact, strict=True):
            # what y should be is (b - mean) * rstd, with that very rstd
            error = fraction(a) - (b - exact_mean) * fraction(its_rstd)
            assert abs(error) <= 8 * eps * max(1, abs(float(b - exact_mean)) / deviation)


def fraction(a):
    return Fraction(*a.as_integer_ratio())


@forward
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(function, axis, dtype, rng):
    x = draw("normal", rng, (6, 5), dtype)
    features = np.ones(5)
    y, mean, rstd = function(x, features, features, return_stats=True)
    assert y.dtype == dtype
    assert mean.dtype == rstd.dtype == np.float64
    for wide in (np.float64, np.longdouble):
        y, mean, rstd = function(x, features, features, return_stats=True, dtype=wide)
        assert y.dtype == mean.dtype == rstd.dtype == wide
    assert function(np.arange(6).reshape(2, 3)).dtype == np.float64
    assert function(x.astype(x.dtype.newbyteorder(">"))).dtype == dtype


@forward
def test_out_and_running_statistics(function, axis, rng):
    x = rng.standard_normal((6, 5))
    y = function(x)
    out = np.empty_like(x)
    assert function(x, out=out) is out
    assert np.array_equal(out, y)
    assert function(x, out=x) is x
    assert np.array_equal(x, y)


def test_wrong_shapes_are_refused_before_anything_changes():
    running_mean = np.zeros(2)
    with pytest.raises(ValueError, match="running_var has shape"):
        reference.batch_norm(np.ones((3, 2)), running_mean=running_mean, running_var=np.ones(1))
    with pytest.raises(ValueError, match="go together"):
        reference.batch_norm(np.ones((3, 2)), running_mean=running_mean)
    assert not running_mean.any()
    with pytest.raises(ValueError, match="gamma has shape"):
        reference.layer_norm(np.ones((3, 2)), np.ones(1))
    with pytest.raises(ValueError):
        reference.layer_norm(1.0)


def test_bad_numbers_and_empty_arrays_warn_of_nothing():
    x = np.array([[np.inf, 1, 2], [np.nan, 1, 2], [1, 1, 1]])
    assert np.isnan(reference.layer_norm(x, eps=0)).all()
    assert reference.batch_norm(np.ones((0, 3))).shape == (0, 3)
    _, mean, rstd = reference.batch_norm(np.ones((0, 3)), eps=0.25, return_stats=True)
    assert mean.tolist() == [0, 0, 0]
    assert rstd.tolist() == [2, 2, 2]

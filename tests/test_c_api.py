"""The C interface: its table is frozen, its functions give the bits of the Python functions, its examples run."""

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastnorm
from support import processes

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = Path(fastnorm.get_include())
EXAMPLES = ROOT / "examples" / "c_api"
DTYPES = {"f32": np.float32, "f64": np.float64}
# Of the entries of each version, in order: compiled code relies on them. A new version adds a line and changes none.
FROZEN = {1: (12, "bba2490d61796ceb")}

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")


def entries(text):
    """Names and arguments of a table, as C has them."""
    found = re.findall(r"int \(\*(\w+)\)\((.*?)\)", text, re.DOTALL)
    return [(name, " ".join(arguments.split()).replace("Py_ssize_t", "ptrdiff_t")) for name, arguments in found]


def header():
    return (INCLUDE / "fastnorm" / "c_api.h").read_text()


@pytest.fixture
def functions(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import table

    return table.functions()


@pytest.mark.parametrize("version", FROZEN)
def test_signatures_are_frozen(version):
    count, digest = FROZEN[version]
    assert hashlib.sha256(repr(entries(header())[:count]).encode()).hexdigest()[:16] == digest


def test_every_entry_belongs_to_a_version():
    assert len(entries(header())) == FROZEN[max(FROZEN)][0]
    assert f"#define FASTNORM_C_API_VERSION {max(FROZEN)}\n" in header()


def test_cython_declares_what_the_header_does():
    assert entries((INCLUDE.parent / "c_api.pxd").read_text()) == entries(header())


def pointers(*arrays):
    return [array if isinstance(array, float) else array.ctypes.data if array is not None else 0 for array in arrays]


def same(results, expected):
    for result, right in zip(results, expected, strict=True):
        assert (result is None and right is None) or result.tobytes() == right.tobytes()


@pytest.mark.parametrize("suffix", DTYPES)
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (7, 33), (300, 257)], ids=str)
@pytest.mark.parametrize("scaled", [True, False])
def test_the_bits_are_those_of_python(functions, suffix, shape, scaled, rng):
    dtype, (m, n) = DTYPES[suffix], shape
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(n).astype(dtype) for _ in range(2)) if scaled else (None, None)

    def room(*dims, like=x.dtype):
        return np.full(dims, 7, like)

    def call(name, *arguments):
        assert functions[f"{name}_{suffix}"](m, n, *pointers(*arguments)) == 0

    for name, forward, backward, length in [
        ("layer_norm", fastnorm.layer_norm, fastnorm.layer_norm_backward, m),
        ("batch_norm", fastnorm.batch_norm, fastnorm.batch_norm_backward, n),
    ]:
        y, mean, rstd = room(m, n), room(length, like=float), room(length, like=float)
        call(name, x, gamma, beta, 1e-5, y, mean, rstd)
        same((y, mean, rstd), forward(x, gamma, beta, return_stats=True))
        dx, dgamma, dbeta = room(m, n), room(n) if scaled else None, room(n)
        call(name + "_backward", dy, x, mean, rstd, gamma, dx, dgamma, dbeta)
        same((dx, dgamma, dbeta), backward(dy, x, mean, rstd, gamma))
        x_again = x.copy()
        call(name, x_again, gamma, beta, 1e-5, x_again, None, None)
        assert x_again.tobytes() == y.tobytes()

    y, rstd = room(m, n), room(m, like=float)
    call("rms_norm", x, gamma, 1e-5, y, rstd)
    same((y, rstd), fastnorm.rms_norm(x, gamma, return_stats=True))
    dx, dgamma = room(m, n), room(n) if scaled else None
    call("rms_norm_backward", dy, x, rstd, gamma, dx, dgamma)
    same((dx, dgamma), fastnorm.rms_norm_backward(dy, x, rstd, gamma))


def run_example(name, *arguments):
    code = (
        "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[2:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return processes.run_code(code, str(EXAMPLES), str(EXAMPLES / name), *arguments, PYTHONWARNINGS="ignore")


@pytest.mark.unsanitized("what it compiles is without sanitizers")
def test_from_cython(tmp_path):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    result = run_example("from_cython.py", str(tmp_path))
    assert result.returncode == 0 and "the same bits" in result.stdout, result.stderr


@pytest.mark.unsanitized("Numba compiles without sanitizers")
def test_from_numba():
    if importlib.util.find_spec("numba") is None:  # it is imported where it is used: in a process of its own
        pytest.skip("no Numba")
    result = run_example("from_numba.py")
    assert result.returncode == 0 and "the same bits" in result.stdout, result.stderr


@pytest.mark.unsanitized("what it compiles is without sanitizers")
@pytest.mark.parametrize("language", ["c11", "c++17"])
def test_the_header_by_itself(language, tmp_path):
    # as plain C, without Python.h, and as C++
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        pytest.skip("no compiler")
    source = tmp_path / ("check.c" if language == "c11" else "check.cpp")
    source.write_text("#include <fastnorm/c_api.h>\nint main(void) { return sizeof(fastnorm_c_api) == 0; }\n")
    options = ["-Wall", "-Wextra", "-Werror", f"-std={language}", "-fsyntax-only", f"-I{INCLUDE}", str(source)]
    result = subprocess.run([*compiler, *options], capture_output=True, text=True)
    if "cannot execute" in result.stderr:
        pytest.skip("no compiler for C++")
    assert result.returncode == 0, result.stderr

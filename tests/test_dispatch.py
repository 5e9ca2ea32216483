"""Which instruction set runs: chosen from the CPU, lowered from the environment, told to users."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastnorm
from fastnorm import _core
from support.arrays import same_bits
from support.isas import ISAS, using

FEATURES = {"AVX2", "AVX512", "NEON"}
VARIABLE = "FASTNORM_DISABLE_CPU_FEATURES"


def run(code, **environment):
    """Output and errors of a fresh Python."""
    clean = {k: v for k, v in os.environ.items() if k not in (VARIABLE, "PYTHONWARNINGS")}
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )


def feature(isa):
    return isa.upper()


IN_USE = "from fastnorm import _core; print(_core.use_isa('baseline'))"


def test_features_are_told_by_name():
    features = fastnorm.__cpu_features__
    assert FEATURES <= features.keys()
    assert all(type(value) is bool for value in features.values())
    assert {feature(isa) for isa in ISAS} - {"BASELINE"} <= {k for k, v in features.items() if v}


def test_baseline_is_always_there():
    assert ISAS[0] == "baseline"
    assert len(set(ISAS)) == len(ISAS)


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="the kernel lists no CPU flags")
def test_what_the_cpu_has_is_found():
    with open("/proc/cpuinfo") as file:
        flags = set(re.findall(r"\S+", file.read()))
    if {"avx2", "fma", "f16c"} <= flags:
        assert "avx2" in ISAS
    if {"avx512f", "avx512vl", "avx512bw", "avx512dq"} <= flags:
        assert "avx512" in ISAS
    if "asimd" in flags:
        assert "neon" in ISAS


def test_the_best_is_in_use_at_first():
    best = run("from fastnorm import _core; print(_core.isas()[-1])").stdout
    assert run(IN_USE).stdout == best


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
def test_all_can_be_disabled(separator):
    names = separator.join(feature(isa) for isa in ISAS[1:])
    result = run(IN_USE, **{VARIABLE: names})
    assert result.stdout.strip() == "baseline"
    assert result.stderr == ""


def test_the_best_can_be_disabled():
    if len(ISAS) > 1:
        result = run(IN_USE, **{VARIABLE: feature(ISAS[-1])})
        assert result.stdout.strip() == ISAS[-2]


def test_features_are_those_of_the_cpu_whatever_is_disabled():
    code = "import fastnorm; print(fastnorm.__cpu_features__)"
    assert run(code, **{VARIABLE: " ".join(FEATURES)}).stdout == run(code).stdout


def test_disabling_nothing_changes_nothing():
    assert run(IN_USE, **{VARIABLE: ""}).stdout == run(IN_USE).stdout
    assert run(IN_USE, **{VARIABLE: " , "}).stderr == ""


@pytest.mark.parametrize("names", ["SSE9", "AVX", "avx-2", "AVX2X", "BASELINE", "é"])
def test_unknown_names_warn_and_are_ignored(names):
    result = run(IN_USE, **{VARIABLE: names})
    assert "RuntimeWarning" in result.stderr
    assert VARIABLE in result.stderr
    if names.isascii():
        assert names in result.stderr
    assert result.stdout == run(IN_USE).stdout


def test_known_names_count_beside_unknown_ones():
    names = " ".join(["NONSENSE", *(feature(isa) for isa in ISAS[1:])])
    result = run(IN_USE, **{VARIABLE: names})
    assert "NONSENSE" in result.stderr
    assert result.stdout.strip() == "baseline"


def test_a_warning_can_be_made_an_error():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run("import warnings; warnings.simplefilter('error'); import fastnorm", **{VARIABLE: "?"})
    assert "RuntimeWarning" in caught.value.stderr


def test_a_feature_that_this_cpu_lacks_may_be_named():
    lacking = FEATURES - {name for name, value in fastnorm.__cpu_features__.items() if value}
    result = run(IN_USE, **{VARIABLE: " ".join(lacking)})
    assert result.stderr == ""
    assert result.stdout == run(IN_USE).stdout


def test_lowered_kernels_give_the_same_bits():
    code = (
        "import sys, numpy, fastnorm; x = numpy.sin(numpy.arange(3300.0)).reshape(50, 66);"
        "print(fastnorm.layer_norm(x).tobytes().hex(), fastnorm.batch_norm(x).tobytes().hex())"
    )
    disabled = " ".join(feature(isa) for isa in ISAS[1:])
    assert run(code, **{VARIABLE: disabled}).stdout == run(code).stdout


def test_use_isa():
    previous = _core.use_isa("baseline")
    try:
        assert previous in ISAS
        for isa in ISAS:
            _core.use_isa(isa)
            assert _core.use_isa(isa) == isa
        for name in ("sse9", "", "AVX", "baseline "):
            with pytest.raises(ValueError):
                _core.use_isa(name)
        assert _core.use_isa("baseline") == ISAS[-1]
    finally:
        _core.use_isa(previous)


def test_show_config(capsys):
    from importlib.metadata import version

    for isa in ISAS:
        with using(isa):
            assert fastnorm.show_config() is None
        shown = capsys.readouterr().out
        assert version("fastnorm-kernels") in shown
        for word in ("compiler", "thread", "cache"):
            assert word in shown.lower()
        for name in ISAS:
            assert name in shown.lower()
        in_use = [line for line in shown.lower().splitlines() if "in use" in line]
        assert len(in_use) == 1 and isa in in_use[0]


def test_the_kernels_of_each_isa_are_really_there():
    # Each computes; that they agree is shown elsewhere.
    x = np.sin(np.arange(1000.0, dtype=np.float32)).reshape(10, 100)
    results = []
    for isa in ISAS:
        with using(isa):
            results.append(fastnorm.layer_norm(x))
    assert all(same_bits(result, results[0]) for result in results)

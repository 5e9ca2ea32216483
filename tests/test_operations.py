"""The public interface is whole: in the table, in the reference, in the documentation."""

import doctest
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnorm
from fastnorm import reference
from support.operations import EVERY, TESTED_ALONE

ROOT = Path(__file__).resolve().parents[1]
FUSED = {"activation", "residual", "where", "weights"}  # beside a normalization; tested by themselves
PUBLIC = [name for name in fastnorm.__all__ if callable(getattr(fastnorm, name))]


def test_every_operation_is_in_the_table():
    # A function without a row has no test of errors, bits, layouts or refusals.
    public = set(fastnorm.__all__) & set(reference.__all__)
    assert public == {op.name for op in EVERY} | set(TESTED_ALONE)
    assert set(reference.__all__) <= set(fastnorm.__all__)


def test_all_names_exist_and_are_sorted_out():
    assert len(set(fastnorm.__all__)) == len(fastnorm.__all__)
    for name in fastnorm.__all__:
        assert hasattr(fastnorm, name)


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_table_rows_fit_the_function(op):
    parameters = inspect.signature(op.function).parameters
    positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert sorted(positional) == sorted({*op.data, *op.parameters})
    named = {"out", *op.updated} | ({"axis"} if op.statistics != "groups" else set())
    assert named <= {p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
    others = {"out", *op.updated, *FUSED} | ({"beta"} if op.name.endswith("_backward") else set())
    assert set(op.optional) >= {p.name for p in parameters.values() if p.default is None} - others


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_signature_is_that_of_the_reference(op):
    def described(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters if p.name != "dtype"]

    assert described(op.function) == described(op.reference)


@pytest.mark.parametrize("op", EVERY, ids=str)
def test_statistics_are_returned_when_asked_for(op, rng):
    if "mean" in op.outputs:
        x = rng.standard_normal((4, 3))
        more = {"groups": 3} if op.name == "group_norm" else {}
        assert type(op.function(x, **more)) is np.ndarray
        assert len(op.function(x, **more, return_stats=True)) == 3
        assert type(op.function(x, **more, return_stats=False)) is np.ndarray


@pytest.mark.parametrize("module", [fastnorm, reference], ids=["fastnorm", "reference"])
@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_and_its_examples(module, name, capsys):
    if not hasattr(module, name):
        return
    text = inspect.getdoc(getattr(module, name))
    assert text, "no docstring"
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    if name in reference.__all__:
        assert example.examples, "no example"
        for section in ("Parameters", "Returns", "Raises", "References", "Examples"):
            assert f"\n{section}\n{'-' * len(section)}\n" in text, f"no section {section}"
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert result.failed == 0, capsys.readouterr().out


def test_examples_of_the_readme(capsys):
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert result.attempted > 10
    assert result.failed == 0, capsys.readouterr().out


def test_every_operation_has_a_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    from operations import missing_benchmarks

    assert missing_benchmarks() == []
    del sys.modules["operations"]

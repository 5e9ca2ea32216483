"""Docstrings are what numpydoc reads. That their examples run is in test_operations.py."""

import pytest
from numpydoc.validate import validate

import fastnorm
from fastnorm import reference

NOT_APPLICABLE = {
    "GL01": "opening quotes: the summary stands beside them, as PEP 257 has it",
    "GL02": "closing quotes: Cython puts the signature before the docstring and takes the last line break away",
    "ES01": "extended summary: the first line is the formula, Notes say the rest",
    "SA01": "See Also: a backward names its forward in the text",
}
OF_THE_REFERENCE = {
    "PR08": "capitals: a description begins with the name of a dtype",
    "RT02": "a lone result has its name too, which others refer to",
    "RT03": "no description: the type says it all",
    "SS05": "no third person: it takes the s of Gradients for one",
}


def errors_of(module, name, not_applicable):
    found = validate(f"{module.__name__}.{name}")["errors"]
    return [f"{code} {text}" for code, text in found if code not in not_applicable]


@pytest.mark.parametrize("name", [name for name in fastnorm.__all__ if callable(getattr(fastnorm, name))])
def test_numpydoc(name):
    assert errors_of(fastnorm, name, NOT_APPLICABLE) == []


@pytest.mark.parametrize("name", reference.__all__)
def test_numpydoc_of_the_reference(name):
    assert errors_of(reference, name, NOT_APPLICABLE | OF_THE_REFERENCE) == []

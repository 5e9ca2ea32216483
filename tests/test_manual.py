"""Every block of Python in the manual runs and gives what the page says. Pages about other libraries need these."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from support.manual import blocks_of, imports_of
from support.processes import run_code

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if blocks_of(page))
RUN = "import sys; from support.manual import run_page; sys.exit(not run_page(sys.argv[1]))"


def test_there_are_pages():
    assert "tutorial.md" in PAGES


@pytest.mark.unsanitized("they call what other tests call, and scikit-learn takes long there")
@pytest.mark.parametrize("page", PAGES)
def test_page(page, tmp_path, monkeypatch):
    missing = sorted(name for name in imports_of(DOCS / page) if find_spec(name) is None)
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    monkeypatch.chdir(tmp_path)  # pages may write files
    process = run_code(RUN, str(DOCS / page))
    assert process.returncode == 0, process.stdout + process.stderr

"""Every block of Python in the manual runs and gives what the page says. Pages about other libraries need these."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.manual import blocks_of, imports_of
from support.processes import run_code

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if blocks_of(page))
LINKED = [page.relative_to(ROOT) for page in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])]
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


@pytest.mark.parametrize("page", LINKED, ids=str)
def test_links_lead_to_files(page):
    """On a code host, where nothing is built: also what README says of the manual, and what pages include of README."""
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (folder / link).exists()] == []
    for file, options in re.findall(r"^```\{include\} (\S+)\n(.*?)```", text, re.MULTILINE | re.DOTALL):
        for marker in re.findall(r'^:(?:start-after|end-before): "(.*)"$', options, re.MULTILINE):
            assert marker in (folder / file).read_text(encoding="utf-8")

"""The code of a page of the manual, run as one program.

Fences of ```python that have prompts are doctests, others are statements. All of a page share one namespace, in order.
"""

import doctest
import re
import sys
import types
import warnings
from pathlib import Path

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks_of(page):
    """(number of lines before the code, code) for each block of a page."""
    text = Path(page).read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in FENCE.finditer(text)]


def imports_of(page):
    """The names of the packages that a page imports."""
    code = "\n".join(block for _, block in blocks_of(page))
    return set(re.findall(r"^(?:>>> )?(?:import|from) (\w+)", code, re.MULTILINE))


def run_page(page):
    """Run a page as the main program, so that other processes find its functions; whether all was right."""
    warnings.simplefilter("default")
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for line, code in blocks_of(page):
        if ">>> " in code:
            test = doctest.DocTestParser().get_doctest(code, main.__dict__, Path(page).name, str(page), line)
            test.globs = main.__dict__  # not a copy: blocks share it
            runner.run(test, clear_globs=False)
        else:
            exec(compile("\n" * line + code, str(page), "exec"), main.__dict__)
    return runner.summarize().failed == 0

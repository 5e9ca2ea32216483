"""Settings of Sphinx for the manual: `make docs`. The pages of the reference are written here, one for each family."""

import inspect
import sys
from pathlib import Path

import fastnorm
from fastnorm import reference

project = "fastnorm"
author = "the fastnorm developers"
version = release = fastnorm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
exclude_patterns = ["build"]
default_role = "py:obj"
highlight_language = "none"  # of fences without a name: commands and their meaning
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# Docstrings set tests, arguments and results in single backticks, too. Links to Python and NumPy would have to be
# looked up in the network, which a build does not need.
FUNCTIONS = [getattr(module, name) for module in (fastnorm, reference) for name in module.__all__]
ARGUMENTS = {name for function in FUNCTIONS if callable(function) for name in inspect.signature(function).parameters}
nitpick_ignore_regex = [
    ("py:obj", r"test_\w+"),
    ("py:obj", r"d?[a-z]|" + "|".join(sorted(ARGUMENTS))),
    ("py:.*", r"(numpy|np|collections|typing)\..*"),
    ("py:.*", r"(TypeError|ValueError|MemoryError)"),
]

html_theme = "pydata_sphinx_theme"
html_title = "fastnorm"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
# Pages without pages beneath them need no list of these.
html_sidebars = {page: [] for page in ("index", "tutorial", "why")}

# ---- the reference --------------------------------------------------------------------------------------------------

REFERENCE = Path(__file__).parent / "reference"
TITLES = {"core": "Threads, memory, configuration"}
PAGES = {"core": "threads_and_memory"}  # the name of the file where it is not that of the family
VALUES = {
    "__cpu_features__": "Which of the CPU features that kernels can use this machine has: names and booleans.",
    "__version__": "The version of the package.",
}


def family_of(name: str) -> str:
    """The family of a public name, by the module that defines it: `_layernorm` defines `layer_norm`."""
    return getattr(fastnorm, name).__module__.rpartition(".")[2].lstrip("_") if name not in VALUES else "core"


def title_of(family: str) -> str:
    """What stands before the colon in the docstring of the module: "LayerNorm: check, allocate, call."."""
    return TITLES.get(family) or sys.modules[f"fastnorm._{family}"].__doc__.partition(":")[0].strip()


def documented(module: str, names: list[str]) -> list[str]:
    lines = [f".. currentmodule:: {module}", ""]
    for name in names:
        if name in VALUES:
            lines += [f".. py:data:: {name}", "", f"   {VALUES[name]}", ""]
        else:
            kind = "autoclass" if isinstance(getattr(fastnorm, name), type) else "autofunction"
            lines += [f".. {kind}:: {name}", ""]
    return lines


def page_of(family: str, names: list[str]) -> str:
    title = title_of(family)
    functions = [name for name in names if name not in VALUES]
    lines = [title, "=" * len(title), "", ".. currentmodule:: fastnorm", ""]
    lines += [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in functions), ""]
    lines += documented("fastnorm", names)
    if formulas := [name for name in names if name in reference.__all__]:
        heading = "The same in readable NumPy"
        lines += [heading, "-" * len(heading), ""] + documented("fastnorm.reference", formulas)
    return "\n".join(lines)


def write_reference(app) -> None:
    """A page for each family that `fastnorm.__all__` has names of; nothing has to be added here for a new one."""
    families: dict[str, list[str]] = {}
    for name in fastnorm.__all__:
        if name != "reference":
            families.setdefault(family_of(name), []).append(name)
    pages = {
        REFERENCE / f"{PAGES.get(family, family)}.rst": page_of(family, names) for family, names in families.items()
    }
    for path in set(REFERENCE.glob("*.rst")) - set(pages):
        path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app) -> None:
    app.connect("builder-inited", write_reference)

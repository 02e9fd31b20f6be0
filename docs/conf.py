"""Sphinx: the site of the documentation. `make docs` builds it into build/docs.

The source folder is the root of the repository, so that pages link to files outside docs/ by the
same relative paths as on a code host.
"""

import re
from pathlib import Path

import latex2mathml.converter
from docutils.nodes import SkipNode

import fastnn

ROOT = Path(__file__).resolve().parents[1]
project = "fastnn"
author = "The fastnn developers"
project_copyright = author
version = release = fastnn.__version__

root_doc = "docs/index"
include_patterns = [
    "docs/*.md", "docs/api/**", "docs/course/**", "benchmarks/*.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "SECURITY.md",
]  # fmt: skip
extensions = [
    "myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary",
    "sphinx.ext.viewcode", "sphinx_design", "sphinx_gallery.gen_gallery",
]  # fmt: skip
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
# autosummary would look for a relative path in the source folder.
templates_path = [str(ROOT / "docs/templates")]
suppress_warnings = ["myst.header"]  # reports that benchmarks write begin with a second level

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

default_role = "py:obj"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "fastnn"
html_static_path = ["static"]
html_css_files = ["fastnn.css"]
html_extra_path = ["root"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "fastnn"},
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without a section have no navigation at the left.
html_sidebars = {f"docs/{page}": [] for page in ("index", "get-started", "comparison")}

sphinx_gallery_conf = {
    "examples_dirs": "examples/course",
    "gallery_dirs": "docs/course",
    "filename_pattern": r"plot_\d+_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "reference_url": {"fastnn": None},
    "backreferences_dir": None,
}


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what a class inherits from another library."""
    getter = obj.fget if isinstance(obj, property) else obj
    module = getattr(getter, "__module__", None) or "fastnn"
    return skip or module.split(".")[0] not in ("fastnn", "builtins")


def escape_initials(app, what, name, obj, options, lines):
    """Keep "D. Kingma" at the beginning of a paragraph from becoming item D of a list."""
    lines[:] = [re.sub(r"^(\s*)([A-Z]\. )", r"\1\\\2", line) for line in lines]


def write_mathml(translator, node, display):
    """Formulas as MathML, which browsers render without a script."""
    translator.body.append(latex2mathml.converter.convert(node.astext(), display=display))


def visit_math(translator, node):
    write_mathml(translator, node, "inline")
    raise SkipNode


def visit_displaymath(translator, node):
    translator.body.append('<div class="formula">')
    write_mathml(translator, node, "block")
    translator.body.append("</div>")
    raise SkipNode


def setup(app):
    app.connect("autodoc-process-docstring", escape_initials)
    app.connect("autodoc-skip-member", skip_foreign_members)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))


html_math_renderer = "mathml"

"""The book: `sphinx-build -W docs docs/_build/html`, with the package and its extra `docs` installed."""

import sys
import warnings
from importlib.metadata import distribution
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import lowrank_sr

project = "lowrank-sr"
author = "the lowrank-sr authors"
copyright = f"2026 {author}"
version = release = lowrank_sr.__version__

extensions = [
    "command_line",
    "current_numbers",
    "plain_docstrings",
    "solutions_in_notebooks",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "tour", "reference/backreferences", "sg_execution_times.rst"]
templates_path = ["_templates"]
# Of docstrings in other packages, which autosummary looks at only to leave them out.
warnings.filterwarnings("ignore", "Unknown section", UserWarning, "numpydoc")
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!lowrank_sr).*"),  # other packages' names: their inventories would come over the network
    (r"py:.*", r"lowrank_sr(\.\w+)*\._\w+.*"),  # private names in annotations have no page
    (r"py:.*", r"lowrank_sr(\.\w+)*\.([A-Z]|Annotated)"),  # type variables, and a name that autodoc attributes to us
]

# Docstrings are written for a terminal: `name` is code there.
default_role = "code"
smartquotes = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

sphinx_gallery_conf = {
    "examples_dirs": "tour",
    "gallery_dirs": "auto_tour",
    "filename_pattern": r"[\\/]\d\d_",
    "ignore_pattern": "solutions",
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": False,
    "image_scrapers": ("matplotlib",),
    "reset_modules": ("matplotlib",),
    "doc_module": ("lowrank_sr",),
    "reference_url": {"lowrank_sr": None},
    "backreferences_dir": "reference/backreferences",
    "prefer_full_module": {r"lowrank_sr\."},
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "only_warn_on_example_error": True,  # -W makes an error of it, and the other chapters are tried as well
}

# One file of MathJax, whose glyphs are outlines in it: equations look alike in every browser, and need no other host.
_MATHJAX = Path(
    distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js")
)
mathjax_path = _MATHJAX.name
mathjax3_config = {"svg": {"fontCache": "global"}, "options": {"enableMenu": False}}

html_theme = "pydata_sphinx_theme"
html_title = "lowrank-sr"
html_static_path = ["_static", str(_MATHJAX)]
html_css_files = ["book.css"]
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("index", "results", "bibliography")}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc", "sg_download_links"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}

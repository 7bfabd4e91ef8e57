"""Sphinx configuration. The build needs no network."""

import os
import sys
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# The gallery runs the checkout, installed or not.
sys.path.insert(0, os.path.abspath(".."))

from sphinx_gallery.sorting import ExplicitOrder

import skdeepcluster

project = "skdeepcluster"
author = "the skdeepcluster developers"
copyright = f"2026, {author}"
version = release = skdeepcluster.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "auto_examples/*.ipynb"]
root_doc = "index"
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "skdeepcluster"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_use_plots = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": ExplicitOrder(
        ["plot_quick_start.py", "plot_pipeline.py", "plot_grid_search.py", "*"]
    ),
    "doc_module": ("skdeepcluster",),
    "backreferences_dir": "generated/backreferences",
    "reference_url": {"skdeepcluster": None},
    "show_memory": False,
    "plot_gallery": "True",
    "download_all_examples": False,
}

# Examples must run without warnings of their own; this one is matplotlib's
# remark that a build has no window.
warnings.filterwarnings("ignore", message=".*non-interactive.*")


def skip_inherited(app, what, name, obj, skip, options):
    """Leave out what scikit-learn or torch documents, not this package."""
    module = getattr(obj, "__module__", None) or ""
    if name.startswith("set_") and name.endswith("_request"):
        return True
    if what == "class" and not module.startswith("skdeepcluster") and callable(obj):
        return True
    return skip


def setup(app):
    """Register the hooks of this file."""
    app.connect("autodoc-skip-member", skip_inherited)

"""The documentation as a site: ``make docs`` builds it into ``build/site``. Every warning is an error.

Sphinx, because the docstrings are its markup, because names and anchors that lead nowhere end the build, and because its
pages open from disk, search included. MyST, because the pages are the repository's Markdown. Furo, because it asks no server
for fonts or scripts. (MkDocs 1 has had no release since 2024, and Zensical, which follows it, is at 0.1 in November 2026.)
"""

from __future__ import annotations

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import calisim.analysis.network          # gives Scenario its build()

project = "calisim"
author = copyright = "The calisim authors"
release = version = calisim.__version__
html_title = f"calisim {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
nitpicky = True
nitpick_ignore_regex = [("py:class", r".*")]                      # annotations name many types that are no user's business
highlight_language = "none"
myst_heading_anchors = 3
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True

smartquotes = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sphinx = False
html_show_search_summary = False          # a page that was opened from disk may not fetch others


def setup(app: Sphinx) -> None:
    app.add_lexer("mermaid", TextLexer)          # GitHub draws such a block; here it is read

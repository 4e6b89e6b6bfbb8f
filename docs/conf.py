"""How Sphinx makes the pages: ./launch/docs, or sphinx-build -W docs build/docs."""

from mpiedge.version import VERSION

project = "mpiedge"
copyright = "the authors of mpiedge"  # noqa: A001 - Sphinx's name for it
release = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
exclude_patterns = ["pictures/*.py"]
html_theme = "furo"
html_title = f"mpiedge {VERSION}"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2f5597", "color-brand-content": "#2f5597"},
    "dark_css_variables": {"color-brand-primary": "#9cb8e8", "color-brand-content": "#9cb8e8"},
}
html_show_sourcelink = False
smartquotes = False  # two dashes are an option's
autodoc_typehints = "description"
autodoc_member_order = "bysource"

"""IPython's settings while nbval compares the chapters: no figure becomes a picture. nbval compares
none, and the book's own pages show all of them."""

c = get_config()  # noqa: F821
c.InlineBackend.figure_formats = set()

"""What every page says about its own making, and what it must not load: a small Sphinx extension of
this book.
"""

import hashlib
import html
import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parent.parent
EXECUTED, WORKERS = "MEDPRIV_EXECUTED", "MEDPRIV_WORKERS"
# they declare nothing: the one acts on LaTeX alone, the other numbers sections once all are read
SAFE = ("sphinx_jupyterbook_latex", "sphinx_multitoc_numbering")
HIDDEN = {"solution": "the solution", "setup": "the set-up cell"}


def commit() -> str:
    """Return the short commit this book is built from, "+" added where files differ from it,
    "unknown" outside git.
    """
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            text=True,
            capture_output=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def library_hash() -> str:
    """Return 12 hexadecimal digits that change with any line of the library."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "medpriv_lib").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def data_hash() -> str:
    """Return the hash of the cohort that the chapters compute on."""
    from medpriv_lib.data.packaged import default_cohort

    return default_cohort().hash()


def facts() -> str:
    """Return the footer's line as HTML: where each number on the page comes from."""
    version = importlib.metadata.version
    parts = {
        "commit": commit(),
        "library": library_hash(),
        "data": data_hash(),
        "Python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "OpenCV": version("opencv-python-headless"),
        "built": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    items = " · ".join(
        f"<span>{html.escape(k)}&nbsp;<code>{html.escape(v)}</code></span>"
        for k, v in parts.items()
    )
    return (
        f'<p class="imprint">{items}</p><p class="imprint">Code under the MIT licence, text and '
        "figures under CC&nbsp;BY&nbsp;4.0. The images are synthetic: no patient is shown.</p>"
    )


# what a page may do: its own files, scripts and styles inside it (the theme's and the steppers'),
# pictures inside it; nothing from another server, no frames, no plugins
POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'unsafe-inline'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",  # the search reads the pages that it found
    "form-action": "'self'",
    "base-uri": "'none'",
}


def policy() -> str:
    """Return the Content-Security-Policy of every page as its <meta> element."""
    content = "; ".join(f"{what} {who}" for what, who in POLICY.items())
    return f'<meta http-equiv="Content-Security-Policy" content="{content}">'


def forbid_the_rest(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.Node
) -> None:
    """Put the policy into the page's head, before anything that is loaded."""
    context["metatags"] = policy() + context.get("metatags", "")


def add_facts(app: Sphinx, config: Config) -> None:
    """Put the line into the theme's footer."""
    config.html_theme_options["extra_footer"] = facts()


def use_what_was_executed(app: Sphinx, config: Config) -> None:
    """Take the outputs of chapters from the folder that `execute.py` has just filled, where
    `EXECUTED` names one.
    """
    if EXECUTED in os.environ:
        config.nb_execution_mode = "cache"
        config.nb_execution_cache_path = os.environ[EXECUTED]


def share_the_work(app: Sphinx) -> None:
    """Read and write pages in as many processes as `WORKERS` says: Jupyter Book has no option for
    that. Sphinx counts its own process, which only hands out pages.
    """
    app.parallel = int(os.environ.get(WORKERS, "0")) + 1
    for name in SAFE:
        if name in app.extensions:
            app.extensions[name].parallel_read_safe = True


def drop_thebe(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.Node) -> None:
    """Keep sphinx-thebe off the pages: Jupyter Book always loads it, twice, and it asks other
    servers for code.
    """
    for key in ("script_files", "css_files"):
        context[key] = [file for file in context.get(key, []) if not _is_thebe(file)]


def offer_colab_for_notebooks_only(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.Node
) -> None:
    """Take the launch button off pages that are no .ipynb file: Colab cannot open those."""
    if not str(app.env.doc2path(page)).endswith(".ipynb"):
        buttons = context.get("header_buttons", [])
        context["header_buttons"] = [
            button for button in buttons if button.get("label") != "launch-buttons"
        ]


def name_what_is_hidden(app: Sphinx, doctree: nodes.document) -> None:
    """Say "Show the solution" where a hidden cell is one, in place of "Show code cell source"."""
    for cell in doctree.findall(nodes.container):
        for tag, words in HIDDEN.items():
            if f"tag_{tag}" in cell.get("classes", []) and "prompt_show" in cell:
                cell["prompt_show"], cell["prompt_hide"] = f"Show {words}", f"Hide {words}"


def list_sources_as_a_list(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.Node
) -> None:
    """Make the bibliography's entries items of their list: docutils gives them a role that a list
    may not hold.
    """
    if 'class="citation-list"' in context.get("body", ""):
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def _is_thebe(file: Any) -> bool:
    body = (getattr(file, "attributes", None) or {}).get("body") or ""
    return "thebe" in str(getattr(file, "filename", file)).lower() or "thebe" in body.lower()


def setup(app: Sphinx) -> dict:
    """Connect all to Sphinx; tell the kernels that no live widget will be seen, so that none is
    stored in a page.
    """
    os.environ["MEDPRIV_WIDGETS"] = "frames"
    app.connect("config-inited", add_facts, priority=400)
    app.connect("config-inited", use_what_was_executed)
    app.connect("builder-inited", share_the_work)
    app.connect("doctree-read", name_what_is_hidden)
    app.connect("html-page-context", drop_thebe, priority=999)
    app.connect("html-page-context", forbid_the_rest, priority=999)
    app.connect("html-page-context", list_sources_as_a_list)
    app.connect("html-page-context", offer_colab_for_notebooks_only, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The built book, served on loopback, and a browser to read it with."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from course import MOVED

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "_build" / "html"
REQUIRED = os.environ.get("CI", "").lower() in {"true", "1"}
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def book() -> Path:
    """Return the folder of the built book; build it where `make` has not done so."""
    if not (BUILT / "index.html").is_file():
        command = Path(sys.executable).with_name("jupyter-book")
        result = subprocess.run(
            [command, "build", ".", "-W", "-n", "--keep-going"],
            cwd=ROOT,
            text=True,
            capture_output=True,
            timeout=900,
        )
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return BUILT


@pytest.fixture(scope="session")
def names(book) -> list[str]:
    """Return the pages of the chapters, relative to the built book; old addresses only lead on."""
    pages = (book / "chapters").rglob("*.html")
    names = sorted(path.relative_to(book).as_posix() for path in pages if path.stem not in MOVED)
    assert len(names) >= 3, names
    return names


@pytest.fixture(scope="session")
def address(book):
    """Serve the book on loopback; return its address, with a slash at the end."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(quiet, directory=str(book))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def browser():
    """Return a headless Chromium; where there is none, skip on a reader's machine and fail in
    CI."""
    if CHROMIUM is None:
        if REQUIRED:
            pytest.fail(
                "CI is set and there is no Chromium: install the system's package `chromium`"
            )
        pytest.skip(
            "no Chromium here: install the system's package `chromium` to run the browser tests"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()

# Set-up. In Colab this installs the course's library, without touching torch or numpy; elsewhere it
# does nothing.
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY, BRANCH = "https://github.com/medpriv/course", "main"
LIGHT = [
    "jaxtyping",
    "wadler-lindig",
    "torchmetrics",
    "lightning-utilities",
    "zennit==0.5.1",
    "captum",
    "pytorch-metric-learning",
]
if "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ:
    source = Path(os.environ.get("MEDPRIV_SOURCE") or "medpriv-course").resolve()
    if not source.is_dir():
        subprocess.run(
            ["git", "clone", "-q", "--depth=1", "--branch", BRANCH, REPOSITORY, str(source)],
            check=True,
        )
    lacking = [
        name for name in LIGHT if not importlib.util.find_spec(name.split("=")[0].replace("-", "_"))
    ]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", str(source), *lacking],
        check=True,
    )
    importlib.invalidate_caches()
    if not Path("results").exists():
        Path("results").symlink_to(source / "chapters" / "results")

# Set-up. In Colab this installs the course's library, without touching torch or numpy; elsewhere
# nothing happens.
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY, BRANCH = "https://github.com/medpriv/course", "main"
LIGHT = ["jaxtyping", "wadler-lindig", "torchmetrics", "lightning-utilities", "zennit==0.5.1"]
LIGHT += ["captum", "pytorch-metric-learning"]
if "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ:
    source = Path(os.environ.get("MEDPRIV_SOURCE") or "medpriv-course").resolve()
    if not source.is_dir():
        clone = ["git", "clone", "-q", "--depth=1", "--branch", BRANCH, REPOSITORY, str(source)]
        subprocess.run(clone, check=True)
    modules = {name: name.split("=")[0].replace("-", "_") for name in LIGHT}
    lacking = [name for name, module in modules.items() if not importlib.util.find_spec(module)]
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", str(source), *lacking]
    subprocess.run(install, check=True)
    importlib.invalidate_caches()
    if not Path("results").exists():
        Path("results").symlink_to(source / "chapters" / "results")

"""Show a medical case without showing the patient: privatise images, and measure what survives and
what leaks.

    import medpriv_lib as mp

    cohort = mp.default_cohort()
    release = mp.Blur(9).privatize(cohort.of("test"))
    report = mp.attack(release, cohort)
    print(report.verdict())

What is offered here is loaded when it is first used: `import medpriv_lib` alone imports no torch.
"""

import importlib.util
from typing import Any

__version__ = "0.2.0"

# no dependency: any of four builds of OpenCV brings it, and naming one would install over another
if importlib.util.find_spec("cv2") is None:
    raise ImportError(
        "medpriv_lib needs OpenCV (cv2); install one build of it, such as "
        "`pip install opencv-python-headless`"
    )

# what `import medpriv_lib as mp` offers, and the module that defines it
OFFERED = {
    "Cohort": "core.cohort",
    "Release": "core.release",
    "NotApplicable": "core.not_applicable",
    "seeded": "core.randomness",
    "read_release": "core.sharing",
    "write_release": "core.sharing",
    "default_cohort": "data.packaged",
    "packaged_cohort": "data.packaged",
    "Averaged": "privatizers.averaging",
    "Blur": "privatizers.blur",
    "KSame": "privatizers.k_same",
    "KSameSelect": "privatizers.k_same",
    "PPRLVGAN": "privatizers.vgan.pprl_vgan",
    "Disentangled": "privatizers.disentangled.disentangled",
    "SignTransfer": "privatizers.sign_transfer.sign_transfer",
    "Judges": "recognition.judges",
    "Expert": "recognition.expert",
    "radiomics": "measures.radiomics.extract",
    "Source": "data.source",
    "Cut": "data.choices",
    "Split": "data.choices",
    "Care": "data.choices",
    "prepare": "pipeline.prepare",
    "fit": "pipeline.fit",
    "load_weights": "pipeline.weights",
    "privatize": "pipeline.privatize",
    "measure": "pipeline.measure",
    "attack": "pipeline.attack",
    "explain": "pipeline.explain",
    "infer": "pipeline.infer",
    "Site": "federation.sites",
    "split_by_patient": "federation.sites",
    "deal": "federation.sites",
    "Rounds": "federation.conduct",
    "LocalTraining": "federation.local",
    "Privacy": "federation.private.privacy",
    "federate": "pipeline.federate",
    "advise": "study.advice.advise",
}
__all__ = ["OFFERED", "__version__", *OFFERED]


def __getattr__(name: str) -> Any:
    """Import what is asked for from its room."""
    if name not in OFFERED:
        raise AttributeError(f"module 'medpriv_lib' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"medpriv_lib.{OFFERED[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what is offered, loaded or not."""
    return sorted({*globals(), *OFFERED})

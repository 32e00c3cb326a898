"""Show a medical case without showing the patient: privatise images, and measure what survives and
what leaks."""

__version__ = "0.1.0"

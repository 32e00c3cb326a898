"""DICOM objects as a kind of cohort: headers, pixels, neutral names, labels."""

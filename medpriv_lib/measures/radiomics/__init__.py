"""Radiomics: numbers that describe a region of an image, as the Image Biomarker Standardisation
Initiative (IBSI) defines them. One family of features a file; `extract.radiomics` is the verb.
"""

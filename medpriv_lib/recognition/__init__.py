"""The judges: networks that recognise the patient and the disease, trained on original images
only.
"""

"""Training over hospitals that do not gather their images, and what hides a patient in it."""

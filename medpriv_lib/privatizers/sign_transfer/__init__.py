"""Sign transfer: read the signs of a disease from one eye and lay them over an invented one."""

"""Where images come from: synthetic eyes, the Warsaw set, any folder with a table; and how they are
prepared.
"""

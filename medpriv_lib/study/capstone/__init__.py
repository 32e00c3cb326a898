"""The capstone: privatise pictures that nobody has seen, to a stated bar."""

"""What somebody can find out who tries: one attack a file."""

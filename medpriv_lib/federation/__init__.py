"""One recogniser from several hospitals whose images stay where they are."""

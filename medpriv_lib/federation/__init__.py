"""One recogniser trained over hospitals whose images stay where they are."""

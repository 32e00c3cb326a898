"""Images that do not fit in memory: chunks that are prepared one by one and read where they lie."""

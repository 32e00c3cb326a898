"""What every room stands on: the nouns, files, numbers with their spread, randomness, pages."""

"""How much a recogniser is worth under differential privacy, and how many patients it takes."""

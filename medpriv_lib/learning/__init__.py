"""Training: images changed a little, and what a checkpoint holds."""

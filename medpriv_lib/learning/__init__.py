"""Training: images changed a little, steps, checkpoints."""

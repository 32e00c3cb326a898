"""Training: images changed a little, what a checkpoint holds, how a processor is set meanwhile."""

"""One model's training."""

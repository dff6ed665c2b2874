"""Losses on stored soft labels and gold labels."""

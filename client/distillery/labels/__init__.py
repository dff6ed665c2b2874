"""Stored soft labels, whatever their codec: what is there, and whether it is sound."""

"""Data files and their rows."""

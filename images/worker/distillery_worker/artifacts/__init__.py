"""What a training publishes, and what serves."""

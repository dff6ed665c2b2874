"""What can be known of a run before it begins; what cannot is None, and is told as unknown."""

"""The label store: what the teacher said, by row."""

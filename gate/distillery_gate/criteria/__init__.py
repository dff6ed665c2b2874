"""What a gate may ask of a student, a question each."""

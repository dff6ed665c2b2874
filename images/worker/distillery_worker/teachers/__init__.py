"""Teachers: models whose answers are stored."""

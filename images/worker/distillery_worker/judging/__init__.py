"""A chat model that grades what a teacher wrote, before a student learns it."""

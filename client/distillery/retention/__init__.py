"""What of a storage prefix is still needed: marked from models and live jobs; the rest is swept past an age."""

"""The page that tells people of an evaluation."""

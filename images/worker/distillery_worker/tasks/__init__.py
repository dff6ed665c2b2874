"""What each value of spec.task means, behind one interface."""

"""A DistillationJob on this machine: the operator's planning, with worker processes in place of Jobs and pods."""

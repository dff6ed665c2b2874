"""Distillery without a cluster: plan and run a DistillationJob here, and look after what storage holds."""

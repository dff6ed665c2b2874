"""The Distillery operator: level-triggered reconciliation of DistillationJobs and DistilledModels."""

"""The operator's Prometheus metrics. Labels are bounded: kinds, verbs, reasons, and namespaces that hold our objects.

Object names are no labels. A namespace's series go with its last object.
"""

from collections.abc import Collection

from prometheus_client import Counter, Gauge, Histogram

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)  # seconds
LONG = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 259200)  # seconds

RECONCILES = Counter("distillery_operator_reconcile_total", "Passes over an object.", ["kind", "result"])
RECONCILE_SECONDS = Histogram("distillery_operator_reconcile_seconds", "Duration of a pass.", ["kind"], buckets=QUICK)
QUEUE_DEPTH = Gauge("distillery_operator_queue_depth", "Objects that wait for a pass.", ["kind"])
QUEUE_SECONDS = Histogram(
    "distillery_operator_queue_seconds", "Wait of an object for its pass.", ["kind"], buckets=QUICK
)
API_REQUESTS = Counter("distillery_operator_api_requests_total", "Calls of the API.", ["verb", "kind", "code"])
API_SECONDS = Histogram("distillery_operator_api_seconds", "Duration of a call.", ["verb"], buckets=QUICK)
WATCH_EVENTS = Counter("distillery_operator_watch_events_total", "Events received.", ["kind"])
WATCH_AGE = Gauge(
    "distillery_operator_watch_age_seconds",
    "Time since the watch brought something, or a full LIST showed that it had missed nothing.",
    ["kind"],
)
PHANTOMS = Counter(
    "distillery_operator_resync_phantoms_total", "Objects that a watch lost and a LIST purged.", ["kind"]
)
LEADING = Gauge("distillery_operator_leading", "1 in the process that acts, 0 in one that stands by.")
OBJECTS = Gauge("distillery_operator_objects", "Objects in the store.", ["kind"])
STAGES = Counter("distillery_operator_stages_total", "Stages that ended.", ["namespace", "stage", "state"])
STAGE_SECONDS = Histogram(
    "distillery_operator_stage_seconds", "Duration of a stage, from the start of its last Job.",
    ["namespace", "stage", "state"], buckets=LONG,
)  # fmt: skip
GPU_SECONDS = Counter(
    "distillery_operator_gpu_seconds_total", "GPUs times seconds of their running pods.", ["namespace", "stage"]
)
VERDICTS = Counter("distillery_operator_verdicts_total", "Verdicts taken over from evaluate.", ["namespace", "result"])
DECISIONS = Counter(
    "distillery_operator_decisions_total", "What became of offered students.", ["namespace", "outcome", "reason"]
)

BY_NAMESPACE = (STAGES, STAGE_SECONDS, GPU_SECONDS, VERDICTS, DECISIONS)


def keep_namespaces(namespaces: Collection[str]) -> None:
    """Drop the series of every other namespace."""
    for metric in BY_NAMESPACE:
        held = {sample.labels["namespace"] for family in metric.collect() for sample in family.samples}
        for namespace in held.difference(namespaces):
            metric.remove_by_labels({"namespace": namespace})

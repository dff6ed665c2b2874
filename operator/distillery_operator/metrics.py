"""The operator's Prometheus metrics. Labels are bounded: kinds, verbs and reasons, never object names."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("distillery_operator_reconcile_total", "Passes over an object.", ["kind", "result"])
RECONCILE_SECONDS = Histogram("distillery_operator_reconcile_seconds", "Duration of a pass.", ["kind"])
QUEUE_DEPTH = Gauge("distillery_operator_queue_depth", "Objects that wait for a pass.")
API_REQUESTS = Counter("distillery_operator_api_requests_total", "Calls of the API.", ["verb", "kind", "code"])
API_SECONDS = Histogram("distillery_operator_api_seconds", "Duration of a call.", ["verb"])
WATCH_EVENTS = Counter("distillery_operator_watch_events_total", "Events received.", ["kind"])
PHANTOMS = Counter(
    "distillery_operator_resync_phantoms_total", "Objects that a watch lost and a LIST purged.", ["kind"]
)
LEADING = Gauge("distillery_operator_leading", "1 in the process that acts, 0 in one that stands by.")
OBJECTS = Gauge("distillery_operator_objects", "Objects in the store.", ["kind"])
STAGES = Counter("distillery_operator_stages_total", "Stages that ended.", ["stage", "state"])
VERDICTS = Counter("distillery_operator_verdicts_total", "Verdicts taken over from evaluate.", ["result"])
PROMOTIONS = Counter("distillery_operator_decisions_total", "What became of offered students.", ["outcome", "reason"])

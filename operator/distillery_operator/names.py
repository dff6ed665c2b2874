"""Every label, annotation, kind and child name that the operator writes: keys come from here alone."""

from dataclasses import dataclass

from distillery_api import GROUP

FIELD_MANAGER = "distillery-operator"
MANAGED_BY = {"app.kubernetes.io/managed-by": "distillery"}
MANAGED_SELECTOR = "app.kubernetes.io/managed-by=distillery"

OWNER_KIND = f"{GROUP}/owner-kind"
OWNER_NAME = f"{GROUP}/owner-name"
OWNER_UID = f"{GROUP}/owner-uid"
STAGE = f"{GROUP}/stage"
ATTEMPT = f"{GROUP}/attempt"
REVISION = f"{GROUP}/revision"
INDEX = "batch.kubernetes.io/job-completion-index"  # of a pod of an Indexed Job
QUEUE, QUEUE_PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
QUEUE_JOB_UID = "kueue.x-k8s.io/job-uid"  # on the Workload that Kueue makes for a Job
PROMOTE_ANNOTATION = f"{GROUP}/promote"  # on a DistilledModel, by a person: evidence that did not decide
REJECT_ANNOTATION = f"{GROUP}/reject"
ACTIVE_ANNOTATION = f"{GROUP}/active"  # on a DistilledModel: read only when its status was lost


@dataclass(frozen=True)
class Kind:
    """A resource kind and its place in the API."""

    kind: str
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """`group/version`, or `version` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of a collection, an object or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts.extend(part for part in (name, subresource) if part)
        return "/".join(parts)


JOB = Kind("DistillationJob", GROUP, "v1alpha1", "distillationjobs")
MODEL = Kind("DistilledModel", GROUP, "v1alpha1", "distilledmodels")
BATCH_JOB = Kind("Job", "batch", "v1", "jobs")
POD = Kind("Pod", "", "v1", "pods")
DEPLOYMENT = Kind("Deployment", "apps", "v1", "deployments")
SERVICE = Kind("Service", "", "v1", "services")
AUTOSCALER = Kind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers")
WORKLOAD = Kind("Workload", "kueue.x-k8s.io", "v1beta2", "workloads")
EVENT = Kind("Event", "", "v1", "events")
LEASE = Kind("Lease", "coordination.k8s.io", "v1", "leases")
CRD = Kind("CustomResourceDefinition", "apiextensions.k8s.io", "v1", "customresourcedefinitions")

PARENTS = (JOB, MODEL)
CHILDREN = (BATCH_JOB, POD, DEPLOYMENT, SERVICE, AUTOSCALER)


def stage_job(name: str, uid: str, stage: str, attempt: int) -> str:
    """Name of a stage's Job. The uid keeps a job that is deleted and created again from adopting old children."""
    return f"{name}-{uid[:8]}-{stage}-{attempt}"


def owner_labels(kind: Kind, name: str, uid: str) -> dict[str, str]:
    """Labels that lead from a child to its owner."""
    return {**MANAGED_BY, OWNER_KIND: kind.kind, OWNER_NAME: name, OWNER_UID: uid}

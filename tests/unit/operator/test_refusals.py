"""A child of a model that Kubernetes does not take is told on the model, and tried again."""

from distillery_operator.cluster import ApiError
from distillery_operator.model_plan import RETRY_REFUSED
from distillery_operator.names import DEPLOYMENT, MODEL, Kind
from distillery_operator.reconcile import Reconciler
from distillery_operator.store import Object
from job_world import NAMESPACE, SETTINGS
from model_world import ModelWorld
from test_confirmation import Recorded

ITEM = (MODEL, NAMESPACE, "served")
QUOTA = 'deployments.apps "served-1" is forbidden: exceeded quota: small'


class Full(Recorded):
    """Has no room for Deployments until it is made."""

    full = True

    async def create(self, kind: Kind, body: Object) -> Object:
        if self.full and kind == DEPLOYMENT:
            raise ApiError(403, "Forbidden", QUOTA)
        made = await super().create(kind, body)
        return {**made, "metadata": {**made["metadata"], "generation": 1}}

    async def replace_status(self, kind: Kind, body: Object) -> Object:
        self.world.put(kind, {**self.world.held, "status": body["status"]})
        return self.world.held


async def test_a_quota_that_keeps_a_models_pods_out_is_told_until_it_goes():
    world = ModelWorld()
    world.finish_job("first", "a")
    cluster = Full(world)
    reconciler = Reconciler(cluster, world.store, SETTINGS, lambda kind, obj: None)
    assert await reconciler.reconcile(ITEM) == 0.0  # it knows better now: another plan
    assert await reconciler.reconcile(ITEM) == RETRY_REFUSED
    assert world.condition("Stalled")[:2] == ("True", "ChildRefused")
    assert QUOTA in world.condition("Stalled")[2]
    cluster.full = False
    await reconciler.reconcile(ITEM)
    await reconciler.reconcile(ITEM)
    assert world.condition("Stalled")[0] == "False"
    assert world.condition("Reconciling")[:2] == ("True", "Promoting")

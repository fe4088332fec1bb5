import msgspec

from rynxs.api.agent import Agent, AgentSpec, Amounts, Resources, Workspace, local_notes
from rynxs.api.metadata import Metadata


def agent(**spec):
    return Agent(metadata=Metadata(name="dev"), spec=AgentSpec(**spec))


def test_a_bare_agent_has_nothing_to_say_locally():
    assert local_notes(agent()) == []


def test_fields_that_only_a_cluster_uses_are_named():
    both = Amounts(cpu="1", memory="1Gi")
    noted = agent(
        image="x",
        runtime_class_name="gvisor",
        resources=Resources(requests=both, limits=both),
        workspace=Workspace(storage_class_name="fast", size="1Gi", retain="Delete"),
    )
    assert local_notes(noted) == [
        "spec.image has no effect in local mode",
        "spec.resources.requests.cpu has no effect in local mode",
        "spec.resources.requests.memory has no effect in local mode",
        "spec.resources.limits.cpu has no effect in local mode",
        "spec.runtimeClassName has no effect in local mode",
        "spec.workspace.storageClassName has no effect in local mode",
    ]


def test_an_agent_survives_json():
    before = agent(image="x", resources=Resources(limits=Amounts(cpu=0.5)), workspace=Workspace(size=1024))
    assert msgspec.json.decode(msgspec.json.encode(before), type=Agent) == before

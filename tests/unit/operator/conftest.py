"""Observations, agents and pods to plan and make things from."""

from __future__ import annotations

import msgspec
import pytest

from rynxs.api.agent import Agent
from rynxs.api.shape import read
from rynxs.api.status import AgentStatus
from rynxs.operator.observation import Observation, Pod, Wanted

UID = "5b9d2c52-0000-4000-8000-000000000001"
NOW = "2026-11-23T14:02:00Z"


def make_agent(name="dev", **spec):
    return read(
        {
            "apiVersion": "rynxs.dev/v1alpha1",
            "kind": "Agent",
            "metadata": {"name": name, "namespace": "team-a"},
            "spec": spec,
        },
        Agent,
    )


def make_pod(number=1, state="Ready", spec="C", **more):
    return Pod(name=f"dev-{number}", uid=f"pod-{number}", number=number, spec=spec, state=state, **more)


@pytest.fixture
def seen():
    """A function that makes observations; by default one of an agent that has all but a computer."""

    def observe(**changes):
        base = Observation(
            namespace="team-a",
            name="dev",
            uid=UID,
            generation=3,
            wanted=Wanted(workspace="W", network="N", computer="C"),
            status=AgentStatus(),
            policy="ok",
            policy_problem="",
            pods=[],
            workspace="W",
            network="N",
            now=NOW,
        )
        return msgspec.structs.replace(base, **changes)

    return observe

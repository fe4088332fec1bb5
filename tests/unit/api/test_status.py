import msgspec
import pytest

from rynxs.api.status import AgentStatus, Condition, PolicyStatus, with_condition

READY = Condition(type="Ready", status="True", reason="Running", message="it runs", observed_generation=1)
WALLS = Condition(type="WallsUp", status="True", reason="Probed", message="")
EARLIER, NOW = "2026-11-23T14:00:00Z", "2026-11-23T14:02:11Z"


def since(conditions):
    return {each.type: each.last_transition_time for each in conditions}


def test_a_new_condition_goes_behind_the_others():
    conditions = with_condition(with_condition([], READY, EARLIER), WALLS, NOW)
    assert since(conditions) == {"Ready": EARLIER, "WallsUp": NOW}


def test_the_transition_time_is_that_of_the_status_only():
    before = with_condition(with_condition([], READY, EARLIER), WALLS, EARLIER)
    other = msgspec.structs.replace(READY, reason="StillRunning", message="yes", observed_generation=2)
    after = with_condition(before, other, NOW)
    assert [each.type for each in after] == ["Ready", "WallsUp"]
    assert (after[0].reason, after[0].observed_generation) == ("StillRunning", 2)
    assert since(after) == {"Ready": EARLIER, "WallsUp": EARLIER}
    ended = with_condition(after, msgspec.structs.replace(READY, status="False"), NOW)
    assert since(ended) == {"Ready": NOW, "WallsUp": EARLIER}
    assert since(before) == {"Ready": EARLIER, "WallsUp": EARLIER}


def test_a_condition_that_somebody_wrote_without_a_time_gets_one():
    assert since(with_condition([READY], READY, NOW)) == {"Ready": NOW}


@pytest.mark.parametrize("type_", [AgentStatus, PolicyStatus])
def test_no_status_yet(type_):
    assert msgspec.convert({}, type_) == type_()


def test_what_another_version_wrote_is_no_error():
    stored = {
        "phase": "Dreaming",
        "policy": "audited",
        "computers": 7,
        "lastAction": NOW,
        "conditions": [{**msgspec.to_builtins(READY), "severity": "Info"}],
    }
    status = msgspec.convert(stored, AgentStatus)
    assert (status.phase, status.policy, status.computers, status.conditions) == ("Dreaming", "audited", 7, [READY])


def test_a_status_is_written_whole():
    assert msgspec.to_builtins(AgentStatus()) == {
        "observedGeneration": 0,
        "phase": "Pending",
        "computer": "",
        "computers": 0,
        "workspace": "",
        "policy": "none",
        "conditions": [],
    }

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rynxs.action.outcome import Ending, Outcome
from rynxs.computer.fence import Fenced, Register
from rynxs.computer.protocol import Fence, Run

BOOT = "b"
FIRST = Fence(1, 1)
DONE = Outcome(ending=Ending.FINISHED)


def run(action: str = "a", fence: Fence = FIRST, boot: str = BOOT) -> Run:
    return Run(action=action, fence=fence, boot=boot, tool="t", args=b"", timeout=1, max_output=1)


def claimed(fence: Fence = FIRST) -> Register:
    register = Register(BOOT)
    register.claim(fence, [])
    return register


def test_nothing_runs_before_a_claim():
    assert Register(BOOT).admit(run()) == "fence"


@pytest.mark.parametrize("fence", [Fence(1, 1), Fence(0, 9), Fence(1, 3), Fence(2, 0)])
def test_only_the_claimed_fence_runs(fence):
    assert claimed(Fence(1, 2)).admit(run(fence=fence)) == "fence"


def test_another_boot_is_refused():
    assert claimed().admit(run(boot="c")) == "boot"


def test_an_id_runs_once_whatever_became_of_it():
    register = claimed()
    assert register.admit(run()) is None
    assert register.admit(run()) == "duplicate"
    register.ended("a", DONE)
    assert register.admit(run()) == "duplicate"
    assert register.query("a") == DONE
    register.settled("a")
    assert register.admit(run()) == "duplicate"
    assert register.query("a") == "unknown"


def test_an_id_that_was_asked_about_and_unknown_is_refused_for_good():
    register = claimed()
    assert register.query("a") == "unknown"
    assert register.admit(run()) == "duplicate"
    register.claim(Fence(2, 0), ["a"])
    assert register.admit(run(fence=Fence(2, 0))) == "duplicate"


def test_a_refused_run_leaves_no_trace():
    register = claimed()
    assert register.admit(run(boot="c")) == "boot"
    assert register.admit(run()) is None


def test_a_lower_claim_changes_nothing():
    register = claimed(Fence(2, 5))
    register.admit(run(fence=Fence(2, 5)))
    with pytest.raises(Fenced, match="epoch=5"):
        register.claim(Fence(2, 4), [])
    assert register.query("a") == "running"
    assert register.admit(run("b", Fence(2, 5))) is None


def test_a_claim_names_what_is_to_be_killed_and_forgets_what_is_not_open():
    register = claimed()
    for action in ("kept", "killed", "kept ended", "forgotten"):
        register.admit(run(action))
    register.ended("kept ended", DONE)
    register.ended("forgotten", DONE)
    assert register.claim(Fence(1, 2), ["kept", "kept ended"]) == {"killed"}
    assert register.query("kept ended") == DONE
    assert register.query("forgotten") == "unknown"


def test_settling_a_running_action_does_not_end_it():
    register = claimed()
    register.admit(run())
    register.settled("a")
    assert register.query("a") == "running"


STEPS = st.one_of(
    st.tuples(st.just("claim"), st.integers(0, 3), st.sets(st.sampled_from("xyz"))),
    st.tuples(st.just("run"), st.integers(0, 3), st.sampled_from("xyz")),
    st.tuples(st.sampled_from(["query", "end", "settle"]), st.just(0), st.sampled_from("xyz")),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_any_order_of_calls_starts_an_id_at_most_once_and_never_under_an_old_fence(steps):
    register = Register(BOOT)
    highest = -1
    started: set[str] = set()
    running: set[str] = set()
    refused: set[str] = set()
    for call, epoch, what in steps:
        if call == "claim":
            if epoch < highest:
                with pytest.raises(Fenced):
                    register.claim(Fence(0, epoch), what)
            else:
                assert register.claim(Fence(0, epoch), what) == running - what
                highest = epoch
        elif call == "run":
            if register.admit(run(what, Fence(0, epoch))) is None:
                assert epoch == highest
                assert what not in started | refused
                started.add(what)
                running.add(what)
            else:
                assert epoch != highest or what in started | refused
        elif call == "query":
            if register.query(what) == "unknown":
                assert what not in running
                refused.add(what)
        elif call == "end" and what in running:
            register.ended(what, DONE)
            running.remove(what)
        elif call == "settle":
            register.settled(what)

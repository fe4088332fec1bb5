"""Promises 1 to 3 in virtual time; Hypothesis chooses what happens when."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from simulation.scenario import play


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a failing script is not shortened: a shorter one troubles other steps
)
@given(st.binary(min_size=500, max_size=500))
def test_promises_hold_whatever_goes_wrong(script: bytes) -> None:
    play(script)

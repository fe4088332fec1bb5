import pytest

from rynxs.sandbox.remedy import advice

NAMESPACE = "bwrap: Creating new namespace failed: Operation not permitted"


@pytest.mark.parametrize(
    ("problem", "settings", "says"),
    [
        (NAMESPACE, {"maximum": "0"}, "user.max_user_namespaces"),
        (NAMESPACE, {"clone": "0"}, "unprivileged_userns_clone"),
        ("bwrap: setting up uid map: Permission denied", {"apparmor": "1"}, "AppArmor"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", {}, "systempaths=unconfined"),
        (NAMESPACE, {}, "seccomp=unconfined"),
    ],
)
def test_each_obstacle_has_its_remedy(problem, settings, says):
    assert says in advice(problem, **{"apparmor": "0", "clone": "1", "maximum": "9999", **settings})


def test_what_is_not_bubblewraps_gets_none():
    assert advice("Traceback ...", apparmor="1", clone="0", maximum="0") == ""

import os

import pytest

from rynxs.sandbox.wall import WallDown, verify, verify_user

NONE = "0" * 16
SOUND = {
    "nonewprivs": "1",
    "seccomp": "2",
    **dict.fromkeys(("capinh", "capprm", "capeff", "capbnd", "capamb"), NONE),
    "pid": "1",
    "pids": "1",
    "user": "1000",
    "groups": "",
    "interfaces": "lo",
    "network": "ENETUNREACH",
    "user_namespace": "EPERM",
    "dumpable": "0",
    "host_paths": "",
    "session": "own",
    "descriptors": "null null /memfd socket",
    "writable": "/dev/null /dev/shm /proc /tmp /workspace",
    "environment": "HOME PATH PWD",
}
ENVIRONMENT = {"HOME", "PATH"}

DOWN = {
    "nonewprivs": "0",
    "seccomp": "0",
    "capeff": "0" * 15 + "1",
    "capbnd": "000001ffffffffff",
    "pid": "2",
    "pids": "1 2",
    "user": "0 1000",
    "groups": "0",
    "interfaces": "lo eth0",
    "network": "open",
    "user_namespace": "open",
    "dumpable": "1",
    "host_paths": "/root",
    "session": "inherited",
    "descriptors": "null null pipe socket /etc/shadow",
    "writable": "/ /workspace",
    "environment": "HOME SECRET",
}


def test_sound_walls_are_accepted():
    verify(SOUND, ENVIRONMENT)


@pytest.mark.parametrize("name", DOWN)
def test_a_wall_that_is_down_is_named(name):
    with pytest.raises(WallDown, match=name):
        verify({**SOUND, name: DOWN[name]}, ENVIRONMENT)


@pytest.mark.parametrize("name", SOUND)
def test_a_wall_that_is_not_reported_is_down(name):
    with pytest.raises(WallDown, match=name):
        verify({key: value for key, value in SOUND.items() if key != name}, ENVIRONMENT)


def test_the_host_sees_the_user():
    verify_user(os.getpid(), os.getuid())
    with pytest.raises(WallDown, match=str(os.getuid() + 1)):
        verify_user(os.getpid(), os.getuid() + 1)

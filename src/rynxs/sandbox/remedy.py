"""Remedies: what to do about a host that forbids sandboxes."""

from __future__ import annotations

from pathlib import Path

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")
_MAXIMUM = Path("/proc/sys/user/max_user_namespaces")


def remedy(problem: str) -> str:
    """One sentence for what bubblewrap said, or empty; reads the kernel's settings."""
    return advice(problem, apparmor=_value(_APPARMOR), clone=_value(_CLONE), maximum=_value(_MAXIMUM))


def advice(problem: str, *, apparmor: str, clone: str, maximum: str) -> str:
    """One sentence for what bubblewrap said, or empty; the settings are empty where the kernel has none."""
    if not problem.startswith("bwrap:"):
        return ""
    if maximum == "0":
        return "User namespaces are switched off: sysctl user.max_user_namespaces=15000"
    if clone == "0":
        return "User namespaces are for root only here: sysctl kernel.unprivileged_userns_clone=1"
    if "proc" in problem and "ount" in problem:
        return (
            "This looks like a container that masks /proc: start it with /proc unmasked "
            "(docker run --security-opt systempaths=unconfined --security-opt seccomp=unconfined)"
        )
    if apparmor == "1":
        return (
            "AppArmor restricts user namespaces (Ubuntu 23.10 and later): give /usr/bin/bwrap a profile with "
            "'userns,' in /etc/apparmor.d, or sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if "namespace" in problem or "uid map" in problem:
        return (
            "The system forbids user namespaces; in a container, allow them "
            "(docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined)"
        )
    return ""


def _value(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

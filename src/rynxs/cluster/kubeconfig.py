"""The kubeconfig: which cluster, and as whom."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import yaml
from lightkube import KubeConfig, SingleConfig
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

DEFAULT = "~/.kube/config"

_UNSUPPORTED = {
    "user": ("as", "as-uid", "as-groups", "as-user-extra", "auth-provider"),
    "cluster": ("proxy-url", "tls-server-name"),
}
"""What would change who we are, or whom we reach, and is not done here."""


class Unusable(Exception):
    """The kubeconfig, or what it names, can't be used."""


def load(file: str | None = None, context: str | None = None) -> SingleConfig:
    """A context of a kubeconfig, by default the current one of the file that KUBECONFIG names, else ~/.kube/config.

    KUBECONFIG may be a list: the first file that exists counts, they are not merged. Where the user has an exec
    plugin it is run, and what it gives is the user's then. Raises Unusable.
    """
    path = Path(file or _file_of(os.environ.get("KUBECONFIG", ""))).expanduser()
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Unusable(f"kubeconfig {path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Unusable(f"kubeconfig {path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        whole = KubeConfig.from_dict(raw, fname=path.absolute())
        if context is not None and context not in whole.contexts:
            raise Unusable(
                f"kubeconfig {path} has no context {context!r}; it has {', '.join(sorted(whole.contexts)) or 'none'}"
            )
        config = whole.get(context)
        assert config is not None
        _check_supported(raw, config)
    except (ConfigError, msgspec.ValidationError) as error:
        raise Unusable(f"kubeconfig {path}: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Unusable(f"kubeconfig {path} does not hold what a kubeconfig should ({error!r})") from error
    return config._replace(user=_user(config, config.user or User()))


def token_of(config: SingleConfig) -> str | None:
    """The user's bearer token, None where there is none. Raises Unusable for a file that can't be read."""
    user = config.user
    if user is None:
        return None
    if user.token_file is not None:
        try:
            return Path(user.token_file).read_text().strip()
        except (OSError, ValueError) as error:
            raise Unusable(f"context {config.context_name}: the token can't be read: {error}") from error
    return user.token


def tls(config: SingleConfig) -> ssl.SSLContext:
    """What a connection to the API server trusts, and shows of us. Raises Unusable."""
    try:
        return verify_cluster(config.cluster, config.user or User(), config.abs_file)
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise Unusable(f"context {config.context_name}: its certificates can't be used: {error}") from error


def _file_of(paths: str) -> str:
    found = [path for path in paths.split(os.pathsep) if path]
    return next((path for path in found if Path(path).exists()), found[0] if found else DEFAULT)


def _check_supported(raw: dict[str, Any], config: SingleConfig) -> None:
    """Raises Unusable for a field that we would have to follow and do not know."""
    names = {"user": config.context.user, "cluster": config.context.cluster}
    for kind, fields in _UNSUPPORTED.items():
        entries = raw.get(f"{kind}s") or ()
        entry: dict[str, Any] = next((each for each in entries if each["name"] == names[kind]), {})
        for field in fields:
            if (entry.get(kind) or {}).get(field):
                raise Unusable(f"context {config.context_name}: rynxs does not support {field} in a kubeconfig")


def _user(config: SingleConfig, user: User) -> User:
    if user.exec is not None:
        return _authenticated(config, user)
    if user.token_file is not None:
        return msgspec.structs.replace(user, token_file=str(config.abs_file(user.token_file)))
    return user


def _authenticated(config: SingleConfig, user: User) -> User:
    """The user with what its exec plugin gives (client.authentication.k8s.io ExecCredential)."""
    plugin = user.exec
    assert plugin is not None
    info = {"apiVersion": plugin.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **{variable.name: variable.value for variable in plugin.env or []}}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    # As kubectl has it: a path is relative to the kubeconfig, a name is looked for in PATH.
    command = str(config.abs_file(plugin.command)) if "/" in plugin.command else plugin.command
    try:
        done = subprocess.run(
            [command, *(plugin.args or [])],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if not status.get("token") and not (certificate and key):
            raise ValueError("its status has neither token nor certificate")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, subprocess.CalledProcessError) as error:
        hint = f" ({plugin.installHint})" if plugin.installHint else ""
        raise Unusable(
            f"context {config.context_name}: the exec plugin {plugin.command} gave no credentials: {error}{hint}"
        ) from error
    if not certificate:
        return User(token=status["token"])
    encoded = [base64.b64encode(text.encode()).decode() for text in (certificate, key)]
    return User(token=status.get("token"), client_cert_data=encoded[0], client_key_data=encoded[1])

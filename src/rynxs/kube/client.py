"""A client of the Kubernetes API: objects as JSON values, a limit on every request, and clear errors.

lightkube reads the configuration (SingleConfig) and authenticates; ConfigError says what is wrong with one. Its own
calls know neither delete preconditions nor bookmarks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
from lightkube import KubeConfig
from lightkube import SingleConfig as SingleConfig
from lightkube.config import client_adapter
from lightkube.core.exceptions import ConfigError as ConfigError

Object = dict[str, Any]
"""An object of the API as JSON values."""

Objects = list[Object]

TIMEOUT = httpx2.Timeout(10.0)
"""Of every request: seconds to connect, to send, and between two parts of the answer (of a watch: a few more)."""

PATIENCE = 30.0
"""Seconds that a request, all but a watch, may take in all, however slowly its answer drips in."""

PAGE = 500
"""Most objects that are asked for at once."""


class ApiError(httpx2.HTTPError):
    """The server refused. `code` is the HTTP status, `message` what it said, `reason` its word for programs.

    The words are those of the API conventions, as `AlreadyExists`. With an answer that can't be read there is none;
    if `code` is that of a success, it may be done.
    """

    def __init__(self, method: str, path: str, code: int, reason: str, message: str) -> None:
        super().__init__(f"{method} {path}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class Resource(msgspec.Struct, frozen=True):
    """A kind of objects: where they are, as `apis/apps/v1` and `deployments`."""

    group: str
    plural: str

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """The path of the collection, or of one object, or of a subresource; no namespace means all of them."""
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        one = f"/{quote(name, safe='')}" if name else ""
        return f"/{self.group}{inside}/{self.plural}{one}" + (f"/{sub}" if sub else "")


def selector(labels: Mapping[str, str]) -> str:
    """The label selector of objects that have all these labels."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


class Client:
    """Requests of one caller. Every call raises ApiError, or another httpx2.HTTPError when there is no answer.

    Close it, or use it as a context.
    """

    def __init__(self, config: SingleConfig | None = None, *, manager: str = "rynxs") -> None:
        """By default with the pod's service account, else the current context of KUBECONFIG.

        `manager` names us in `managedFields`. Raises ConfigError.
        """
        found = config or KubeConfig.from_env().get()
        assert found is not None
        self.config = found
        self.http = client_adapter.AsyncClient(found, client_adapter.ConnectionParams(timeout=TIMEOUT))
        self._manager = {"fieldManager": manager}

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, or None where there is none."""
        try:
            return await self._send("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.code == httpx2.codes.NOT_FOUND:
                return None
            raise

    async def list(self, resource: Resource, namespace: str = "", labels: str = "") -> Objects:
        """All objects, of one namespace or all, that the label selector selects."""
        return (await self.snapshot(resource, namespace, labels))[0]

    async def snapshot(self, resource: Resource, namespace: str = "", labels: str = "") -> tuple[Objects, str]:
        """All objects as `list` gives them, and the version of the whole, where a watch goes on.

        It is read in pages of one version; ApiError 410 when the server has lost that version meanwhile.
        """
        path = resource.path(namespace)
        items: Objects = []
        query = {"labelSelector": labels} if labels else {}
        query["limit"] = str(PAGE)
        while True:
            page = await self._send("GET", path, query=query)
            try:
                items += page["items"]
                version, more = str(page["metadata"]["resourceVersion"]), page["metadata"].get("continue")
            except (KeyError, TypeError, AttributeError) as error:
                raise ApiError("GET", path, httpx2.codes.OK, "", "the API server answered without a list") from error
            if not more:
                return items, version
            query["continue"] = str(more)

    @contextlib.asynccontextmanager
    async def watch(
        self, resource: Resource, version: str, seconds: int, *, labels: str = ""
    ) -> AsyncIterator[AsyncIterator[Object]]:
        """What has changed in all namespaces since that version, as it happens: events with `type` and `object`.

        The context begins when the server has taken the watch up, and it ends by itself after `seconds`. There are
        BOOKMARKs; an ERROR is raised as ApiError, as is an event that can't be read (with code 200).
        """
        path = resource.path()
        query = {"labelSelector": labels} if labels else {}
        query |= {"watch": "true", "allowWatchBookmarks": "true"}
        query |= {"resourceVersion": version, "timeoutSeconds": str(seconds)}
        timeout = httpx2.Timeout(TIMEOUT.connect, read=seconds + 10.0)
        request = self.http.build_request("GET", path, params=query, timeout=timeout)
        response = await self._answer(request, TIMEOUT.read or PATIENCE, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise _refusal(response, "GET", path)
            yield _events(response, path)
        finally:
            await response.aclose()

    async def create(self, resource: Resource, namespace: str, item: Object, sub: str = "") -> Object:
        """Create the object; gives it as it is now. `sub` posts to a subresource of the object of that name."""
        name = item["metadata"]["name"] if sub else ""
        return await self._send("POST", resource.path(namespace, name, sub), item, query=self._manager)

    async def apply(self, resource: Resource, namespace: str, item: Object, **options: str) -> Object:
        """Make the object's fields what they are here, and leave all others (server-side apply, forced).

        `options` are more parameters of the request, as dryRun="All" or fieldValidation="Strict".
        """
        path = resource.path(namespace, item["metadata"]["name"])
        query = {**self._manager, "force": "true", **options}
        return await self._send("PATCH", path, item, query=query, type_="application/apply-patch+yaml")

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Object, sub: str = "") -> Object:
        """Merge the patch into the object or its subresource (RFC 7386)."""
        path = resource.path(namespace, name, sub)
        return await self._send("PATCH", path, patch, query=self._manager, type_="application/merge-patch+json")

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str = "") -> None:
        """Delete the object, if it is the one of this uid; nothing where there is none, or another one."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._send("DELETE", resource.path(namespace, name), body)
        except ApiError as error:
            if error.code == httpx2.codes.NOT_FOUND:
                return
            if error.code != httpx2.codes.CONFLICT or not uid:
                raise
            # Another uid is one reason for a conflict, and not the only one.
            found = await self.get(resource, namespace, name)
            if found is not None and found["metadata"]["uid"] == uid:
                raise

    async def _send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: dict[str, str] | None = None,
        type_: str = "application/json",
    ) -> Object:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": type_, "Accept": "application/json"}
        request = self.http.build_request(method, path, params=query, content=content, headers=headers)
        response = await self._answer(request, PATIENCE)
        answer = _object(response.content)
        if answer is None or not response.is_success:
            raise _refusal(response, method, path)
        return answer

    async def _answer(self, request: httpx2.Request, seconds: float, *, stream: bool = False) -> httpx2.Response:
        """The answer, or its beginning, within that time. Raises httpx2.RequestError."""
        try:
            async with asyncio.timeout(seconds):
                return await self.http.send(request, stream=stream)
        except TimeoutError:
            message = f"{request.method} {request.url.path}: no answer within {seconds:.0f} s"
            raise httpx2.ReadTimeout(message, request=request) from None
        except (OSError, ConfigError) as error:
            # Of the file with the pod's token, which lightkube reads anew when the server wants another one.
            message = f"{request.method} {request.url.path}: {error}"
            raise httpx2.RequestError(message, request=request) from error


def _object(content: bytes) -> Object | None:
    """The JSON object, or None for anything else."""
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def _refusal(response: httpx2.Response, method: str, path: str) -> ApiError:
    status = _object(response.content)
    if status is None:
        message = f"the API server answered {response.status_code} without an object"
        return ApiError(method, path, response.status_code, "", message)
    message = str(status.get("message", "")) or f"the API server answered {response.status_code}"
    return ApiError(method, path, response.status_code, str(status.get("reason", "")), message)


async def _events(response: httpx2.Response, path: str) -> AsyncIterator[Object]:
    async for line in _lines(response):
        event = _object(line)
        if event is None or not isinstance(event.get("object"), dict):
            raise ApiError("GET", path, httpx2.codes.OK, "", f"the watch gave {line[:64]!r}, which is no event")
        if event.get("type") == "ERROR":
            status = event["object"]
            said = (str(status.get("reason", "")), str(status.get("message", "")))
            raise ApiError("GET", path, int(status.get("code") or 0), *said)
        yield event


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Lines end with LF and nothing else; httpx2 would end them at U+0085 in somebody's label, too."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
    if rest:
        yield rest

"""The application: nobody gets past it without a token, by another name, or from a web page."""

from __future__ import annotations

import httpx2
import pytest

PATHS = ["/v1/agents", "/openapi.json", "/agents/team-a/dev/mcp", "/v1/log/shard-0/events", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer ", "Bearer nobody", "Basic alice", "alice"])
async def test_every_path_needs_a_token(world, path, authorization) -> None:
    async with world.http() as client:
        client.headers.pop("authorization")
        headers = {} if authorization is None else {"Authorization": authorization}
        response = await client.get(path, headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:rynxs:problem:unauthenticated"


async def test_the_scheme_is_read_as_http_has_it(world) -> None:
    async with world.http() as client:
        response = await client.get("/v1/agents", headers={"Authorization": "bearer  alice"})
    assert response.status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_pages_are_refused_even_with_a_token(world, path) -> None:
    async with world.http(Origin="http://gateway") as client:
        response = await client.get(path)
    assert response.status_code == 403
    assert "Origin" in response.json()["detail"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("gateway", 200),
        ("gateway:8765", 200),
        ("GATEWAY", 200),
        ("evil.example", 400),
        ("gateway.evil.example", 400),
        ("", 400),
    ],
)
async def test_it_answers_to_its_own_names_only(world, host, status) -> None:
    async with world.http(Host=host) as client:
        assert (await client.get("/v1/agents")).status_code == status


async def test_an_ipv6_address_is_a_name(world) -> None:
    transport = httpx2.ASGITransport(world.app(hosts=["[::1]", "localhost"]))
    headers = {"Authorization": "Bearer alice"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://[::1]:8765", headers=headers) as client:
        assert (await client.get("/v1/agents")).status_code == 200


async def test_what_is_not_there(world) -> None:
    async with world.http() as client:
        response = await client.get("/nothing")
    assert response.status_code == 404
    assert response.json()["detail"] == "there is nothing at /nothing; see /openapi.json"


async def test_who_may_not(world) -> None:
    action = {"tool": "shell_exec", "args": {"argv": ["good"]}}
    async with world.http("eve") as client:
        answers = [
            await client.get("/v1/agents"),
            await client.get("/v1/namespaces/team-a/agents/dev"),
            await client.get("/v1/log/shard-0/events"),
            await client.post("/v1/namespaces/team-a/agents/dev/actions", json=action),
        ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert {answer.json()["type"] for answer in answers} == {"urn:rynxs:problem:forbidden"}
    assert world.journal == []

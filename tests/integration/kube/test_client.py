"""The client, answered by a real API server."""

from __future__ import annotations

import pytest

from rynxs.kube import client as client_module
from rynxs.kube.client import ApiError
from rynxs.kube.resource import ACCESS_REVIEWS, CONFIG_MAPS, NAMESPACES, PODS


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_create_get_and_delete(client, namespace) -> None:
    made = await client.create(CONFIG_MAPS, namespace, config_map("a", k="v"))
    assert await client.get(CONFIG_MAPS, namespace, "a") == made
    assert made["metadata"]["managedFields"][0]["manager"] == "rynxs-test"
    with pytest.raises(ApiError) as error:
        await client.create(CONFIG_MAPS, namespace, config_map("a"))
    assert (error.value.code, error.value.reason) == (409, "AlreadyExists")
    await client.delete(CONFIG_MAPS, namespace, "a")
    assert await client.get(CONFIG_MAPS, namespace, "a") is None
    await client.delete(CONFIG_MAPS, namespace, "a")


async def test_deleting_is_for_the_one_that_is_meant(client, namespace) -> None:
    first = await client.create(CONFIG_MAPS, namespace, config_map("a"))
    await client.delete(CONFIG_MAPS, namespace, "a")
    second = await client.create(CONFIG_MAPS, namespace, config_map("a"))
    await client.delete(CONFIG_MAPS, namespace, "a", first["metadata"]["uid"])
    assert await client.get(CONFIG_MAPS, namespace, "a") == second
    await client.delete(CONFIG_MAPS, namespace, "a", second["metadata"]["uid"])
    assert await client.get(CONFIG_MAPS, namespace, "a") is None


async def test_apply_takes_back_what_it_does_not_name_any_more_and_leaves_others_alone(client, namespace) -> None:
    first = await client.apply(CONFIG_MAPS, namespace, config_map("a", ours="1", gone="1"))
    again = await client.apply(CONFIG_MAPS, namespace, config_map("a", ours="1", gone="1"))
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
    await client.merge(CONFIG_MAPS, namespace, "a", {"data": {"theirs": "1"}})
    made = await client.apply(CONFIG_MAPS, namespace, config_map("a", ours="2"))
    assert made["data"] == {"ours": "2", "theirs": "1"}


async def test_a_merge_is_for_the_version_and_the_object_that_it_names(client, namespace) -> None:
    made = await client.create(CONFIG_MAPS, namespace, config_map("a", k="1"))
    version = {"resourceVersion": made["metadata"]["resourceVersion"]}
    await client.merge(CONFIG_MAPS, namespace, "a", {"metadata": version, "data": {"k": "2"}})
    for stale, code in ((version, 409), ({"uid": "another"}, 422)):
        with pytest.raises(ApiError) as error:
            await client.merge(CONFIG_MAPS, namespace, "a", {"metadata": stale, "data": {"k": "3"}})
        assert error.value.code == code
    assert (await client.get(CONFIG_MAPS, namespace, "a"))["data"] == {"k": "2"}
    with pytest.raises(ApiError) as error:
        await client.merge(CONFIG_MAPS, namespace, "b", {"data": {}})
    assert error.value.code == 404


async def test_pages(client, namespace, monkeypatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    for name in "abcde":
        item = config_map(name)
        item["metadata"]["labels"] = {"odd": str(name in "ace").lower()}
        await client.create(CONFIG_MAPS, namespace, item)
    assert [item["metadata"]["name"] for item in await client.list(CONFIG_MAPS, namespace)] == list("abcde")
    assert [item["metadata"]["name"] for item in await client.list(CONFIG_MAPS, namespace, "odd=true")] == list("ace")


async def test_what_the_server_says_is_passed_on(client, namespace) -> None:
    with pytest.raises(ApiError, match=r"POST .*/pods: Pod .* is invalid: spec.containers: Required value") as error:
        await client.create(PODS, namespace, {"metadata": {"name": "p"}, "spec": {}})
    assert (error.value.code, error.value.reason) == (422, "Invalid")
    with pytest.raises(ApiError) as error:
        await client.create(CONFIG_MAPS, "nowhere", config_map("a"))
    assert error.value.code == 404


async def test_a_review_has_no_name(client) -> None:
    attributes = {"group": "rynxs.dev", "resource": "agents", "verb": "use", "namespace": "n"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "nobody", "resourceAttributes": attributes},
    }
    assert (await client.create(ACCESS_REVIEWS, "", review))["status"]["allowed"] is False
    assert (await client.get(NAMESPACES, "", "default"))["metadata"]["name"] == "default"

"""The chart, rendered."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from cluster.programs import program

CHART = Path(__file__).parents[3] / "charts" / "rynxs"
RELEASE = ["rynxs", str(CHART), "--namespace", "rynxs-system"]
REGISTRY = "--set=image.registry=registry.test"
EXTERNAL = (
    "--set=store.enabled=false,log.url=s3://audit/prod,log.endpoint=https://minio.example.com:9000",
    "--set=log.existingSecret=bucket-keys,log.region=eu-west-1",
)
VALUES = {
    "default": (),
    "dev": (f"--values={CHART / 'values-dev.yaml'}",),
    "external": EXTERNAL,
    "aws": ("--set=store.enabled=false,log.url=s3://audit/prod,log.existingSecret=bucket-keys",),
    "everything": (
        "--set=image.tag=1.2.3,image.pullPolicy=Always,image.pullSecrets={a,b},store.storageClassName=fast",
        "--set=computers.image=r/c:1,computers.port=7000,computers.runtimeClassName=gvisor,computers.pullPolicy=Never",
        "--set=nodeSelector.disk=ssd,tolerations[0].operator=Exists,networkPolicies.apiServerPorts={8443}",
        '--set-json=affinity={"nodeAffinity":{}}',
    ),
}


class Rendering:
    """What a set of values makes: `objects`, without the notes."""

    def __init__(self, text):
        self.text = text
        self.objects = [each for each in yaml.safe_load_all(text) if each]

    def all(self, kind):
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind, name):
        [found] = [each for each in self.all(kind) if each["metadata"]["name"] == name]
        return found

    @property
    def pods(self):
        """Each pod template by the name of what makes it."""
        return {each["metadata"]["name"]: each["spec"]["template"] for each in self.all("Deployment") + self.all("Job")}

    @property
    def config(self):
        return yaml.safe_load(self.one("ConfigMap", "rynxs-config")["data"]["config.yaml"])


def helm(*arguments):
    return subprocess.run([str(program("helm")), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def render():
    """A function from helm's options to a Rendering."""

    def rendered(*options):
        done = helm("template", *RELEASE, REGISTRY, *options)
        assert done.returncode == 0, done.stderr
        return Rendering(done.stdout)

    return rendered


@pytest.fixture(scope="session")
def refused():
    """A function from helm's options to what it says when it refuses them."""

    def message(*options):
        done = helm("template", *RELEASE, *options)
        assert done.returncode != 0
        return done.stderr

    return message


@pytest.fixture(params=VALUES, scope="session")
def rendering(request, render):
    """What the chart makes, for each set of values."""
    return render(*VALUES[request.param])


@pytest.fixture(scope="session")
def lint():
    return lambda *options: helm("lint", str(CHART), REGISTRY, *options)


@pytest.fixture(scope="session")
def notes():
    """A function from helm's options to what it tells whoever installs."""

    def said(*options):
        done = helm("install", *RELEASE, REGISTRY, "--dry-run=client", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    return said

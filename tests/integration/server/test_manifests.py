"""Bad manifests at a real server: file, document, path and reason are said, and nothing changes."""

from __future__ import annotations

import pytest

AGENT = "apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {name: new}\n"
POLICY = (
    "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: p}\n"
    "spec:\n  selector: {}\n  rules:\n  - {name: r, tools: [shell_exec], when: %s, effect: Allow}\n"
)


@pytest.mark.parametrize(
    ("manifests", "said"),
    [
        (
            AGENT + "spec: {colour: blue}\n",
            "bad.yaml, document 1 (agent/new), spec.colour: unknown field",
        ),
        (
            AGENT + "---\n" + AGENT + "spec: {workspace: {size: [1]}}\n",
            "bad.yaml, document 2 (agent/new), spec.workspace.size: ",
        ),
        (
            AGENT + "---\n" + POLICY % '"acton.tool == 1"',
            "bad.yaml, document 2 (agentpolicy/p), spec.rules[0].when: undeclared reference to 'acton' "
            "(did you mean 'action'?)",
        ),
        (
            AGENT + "---\n" + POLICY.replace("tools: [shell_exec], ", "") % '"true"',
            "bad.yaml, document 2 (agentpolicy/p), spec.rules[0].tools: ",
        ),
        (
            AGENT + "---\n" + POLICY.replace("when: %s, ", ""),
            "bad.yaml, document 2 (agentpolicy/p), spec.rules[0].when: ",
        ),
        (AGENT + "---\n" + AGENT, "bad.yaml, document 2 (agent/new), metadata.name: the same object is in document 1"),
        (AGENT + "kind: Agent\n", "bad.yaml, document 1"),
        (AGENT + "# " + "x" * 5_000_000, "bad.yaml: "),
        ("\x00\x01\xff", "bad.yaml"),
    ],
    ids=["unknown", "type", "cel", "no tools", "no when", "twice", "duplicate key", "5 MB", "rubbish"],
)
def test_a_bad_file_changes_nothing(server, tmp_path, manifests, said) -> None:
    before = len(server.events()), server.run("get", "agents", "-o", "json").stdout
    file = tmp_path / "bad.yaml"
    file.write_text(manifests)
    done = server.run("apply", "-f", str(file))
    assert done.returncode == 1
    assert done.stdout == ""
    assert said.replace("bad.yaml", str(file)) in done.stderr
    assert "Traceback" not in done.stderr
    assert (len(server.events()), server.run("get", "agents", "-o", "json").stdout) == before


def test_a_file_that_is_not_there(server) -> None:
    done = server.run("apply", "-f", "/no/such.yaml")
    assert (done.returncode, done.stderr) == (1, "rynxs: /no/such.yaml can't be read: No such file or directory\n")

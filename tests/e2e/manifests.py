"""Manifests of the e2e tests."""

from __future__ import annotations

AGENT = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: NAME, namespace: TEAM, labels: {role: coder}}
spec:
  resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: "1", memory: 512Mi}}
  workspace: {size: 64Mi, retain: RETAIN}
"""

POLICY = """
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {name: coder, namespace: TEAM}
spec:
  selector: {matchLabels: {role: coder}}
  rules:
  - {name: files, tools: [file_read, file_write, file_list], when: "true", effect: Allow}
  - name: everyday
    tools: [shell_exec]
    when: action.args.argv[0] in ["sh", "ls", "cat", "sleep", "id", "git", "python3", "chromium"]
    effect: Allow
  - name: no-force-push
    tools: [shell_exec]
    when: action.args.argv[0] == "git" && action.args.argv.exists(a, a == "--force" || a == "-f")
    effect: Deny
    message: Force pushes are not allowed.
"""


def agent(team: str, name: str = "dev", *, retain: str = "Delete", **spec: str) -> str:
    """An Agent of the role coder; `spec` adds fields, as lines of YAML."""
    text = AGENT.replace("NAME", name).replace("TEAM", team).replace("RETAIN", retain)
    return text + "".join(f"  {key}: {value}\n" for key, value in spec.items())


def policy(team: str) -> str:
    """What coders may do."""
    return POLICY.replace("TEAM", team)

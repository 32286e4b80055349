"""No way around the gate: handlers run only there, REST reaches actions only through it, privileges exist for all.

Reads the source, so that a module nobody imports is found too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanse.security.privileges import cluster_privileges_granting, index_privileges_granting

SOURCE = Path(__file__).parents[2] / "src" / "hanse"
GATE = SOURCE / "security" / "gate.py"
REGISTRY = SOURCE / "transport" / "actions.py"
REST_SERVER = SOURCE / "rest" / "server.py"
BELOW_REST = ("errors", "tasks", "settings", "transport")
ENGINES = ("Service", "Store", "Actions", "Indices", "Registry", "RemoteClusters", "Replication")


def modules(room: str = "") -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((SOURCE / room).rglob("*.py")):
        yield path, ast.parse(path.read_text(), str(path))


def declared_actions() -> list[tuple[str, str]]:
    """`(name, scope)` of every `Action("name", request, response, Scope.X)` in the source."""
    found = []
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Action" and len(node.args) >= 4:
                scope = node.args[3]
                assert isinstance(scope, ast.Attribute), f"the scope of an action is written out: {ast.unparse(node)}"
                found.append((_text_of(node.args[0], tree), scope.attr))
    return found


def _text_of(node: ast.expr, tree: ast.Module) -> str:
    """A string constant, a module constant holding one, or their sum."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.BinOp):
        return _text_of(node.left, tree) + _text_of(node.right, tree)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part, tree) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text_of(node.value, tree)
    assert isinstance(node, ast.Name), ast.unparse(node)
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == node.id:
            return _text_of(statement.value, tree)
        if isinstance(statement, ast.ImportFrom) and node.id in [alias.name for alias in statement.names]:
            other = SOURCE.parent / ((statement.module or "").replace(".", "/") + ".py")
            return _text_of(node, ast.parse(other.read_text()))
    raise AssertionError(f"cannot find the text of {node.id}")


def test_only_the_gate_looks_up_handlers() -> None:
    for path, tree in modules():
        for node in ast.walk(tree):
            if path not in (GATE, REGISTRY) and isinstance(node, ast.Attribute) and node.attr == "handler":
                holder = ast.unparse(node.value).lower()
                beside = any(word in holder for word in ("registry", "actions"))
                assert not beside, f"{path}:{node.lineno} looks up a handler beside the gate"


def test_only_the_gate_makes_calls() -> None:
    """A handler's `Call` carries who asks and what was granted: nobody else may write one."""
    for path, tree in modules():
        for node in ast.walk(tree):
            if path not in (GATE, REGISTRY) and isinstance(node, ast.Call):
                made = ast.unparse(node.func).rsplit(".", 1)[-1]
                assert made not in ("Call", "replace_call"), f"{path}:{node.lineno} makes a Call beside the gate"


def test_rest_knows_request_types_and_no_engine() -> None:
    for path, tree in modules("rest"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("hanse."):
                continue
            room = str(node.module).split(".")[1]
            assert room not in ("tls", "node", "cli"), f"{path}:{node.lineno} imports {node.module}"
            if room in (*BELOW_REST, "rest"):
                continue
            for name in node.names:
                assert not name.name.endswith(ENGINES), f"{path}:{node.lineno} imports {name.name}, no request type"


def test_rest_handlers_only_run_what_the_server_hands_them() -> None:
    """The gate itself is known to the server alone; handlers have `request.run`."""
    for path, tree in modules("rest"):
        if path == REST_SERVER:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                assert "gate" not in ast.unparse(node.value).lower().split("."), f"{path}:{node.lineno} uses the gate"


@pytest.mark.parametrize(("name", "scope"), sorted(set(declared_actions())))
def test_every_action_is_granted_by_some_privilege(name: str, scope: str) -> None:
    if scope == "CLUSTER":
        assert cluster_privileges_granting(name), f"no cluster privilege grants [{name}]"
    elif scope in ("INDEX", "COMPOSITE"):
        assert index_privileges_granting(name), f"no index privilege grants [{name}]"


def test_no_name_is_declared_twice() -> None:
    names = [name for name, _ in declared_actions()]
    assert sorted(names) == sorted(set(names))

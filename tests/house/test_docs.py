"""Every setting is documented: the table is made from the declarations.

`python -m tests.house.test_docs` rewrites it.
"""

from __future__ import annotations

from pathlib import Path

from hanse.index.settings import INDEX_SETTINGS
from hanse.node import registry_of_settings
from hanse.settings.registry import Scope, Setting, SettingsRegistry

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def render() -> str:
    lines = [
        "# Settings",
        "",
        "Made from the declarations in the code. *Dynamic* ones can be changed with `PUT _cluster/settings` (or, for",
        "an index, `PUT {index}/_settings`); *secure* ones live in the keystore only. What says *kept* or",
        "*accepted* are checked and stored so that templates and runbooks work, and have no effect.",
        "",
        "## Node and cluster",
        "",
        *_table(registry_of_settings().all()),
        "",
        "## Index",
        "",
        *_table(SettingsRegistry(INDEX_SETTINGS).all()),
        "",
    ]
    return "\n".join(lines)


def _table(settings: list[Setting]) -> list[str]:  # type: ignore[type-arg]
    rows = ["| setting | default | scope | what it is |", "| --- | --- | --- | --- |"]
    for setting in settings:
        default = setting.default_text
        shown = ", ".join(default) if isinstance(default, list) else default
        if setting.key == "node.name":
            shown = "host name"
        rows.append(f"| `{setting.key}` | {shown or ''} | {_scope(setting.scope)} | {setting.help} |")
    return rows


def _scope(scope: Scope) -> str:
    if Scope.SECURE & scope:
        return "secure"
    return "dynamic" if Scope.DYNAMIC & scope else "static"


def test_the_settings_page_is_what_the_code_declares() -> None:
    assert PAGE.read_text() == render(), "run: python -m tests.house.test_docs"


if __name__ == "__main__":
    PAGE.write_text(render())

"""Tokens: what one holds, and what is refused before any node is asked."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hanse.cli.enrollment_token import EnrollmentToken, create_enrollment_token
from hanse.cli.terminal import Failure

TOKEN = EnrollmentToken("9.2.0", ("127.0.0.1:9200", "[::1]:9200"), "ab" * 32, "id:secret")


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(create_enrollment_token, list(arguments), env={"ES_PATH_CONF": str(config)})


def test_a_token_comes_back_and_has_the_documented_fields() -> None:
    assert EnrollmentToken.decode(TOKEN.encode()) == TOKEN
    assert json.loads(base64.b64decode(TOKEN.encode())) == {
        "ver": "9.2.0",
        "adr": ["127.0.0.1:9200", "[::1]:9200"],
        "fgr": "ab" * 32,
        "key": "id:secret",
    }


@pytest.mark.parametrize(
    "text",
    ["", "nonsense!", TOKEN.encode()[:-7], base64.b64encode(b"[]").decode(), base64.b64encode(b"{}").decode(),
     base64.b64encode(b'{"ver":"9","adr":[],"fgr":"a","key":"b"}').decode(), "QQ" * 10_000],
)  # fmt: skip
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(Failure, match="Failed to parse enrollment token"):
        EnrollmentToken.decode(text)


@pytest.mark.parametrize(
    ("yml", "scope", "words"),
    [
        ("", "kibana", "Kibana cannot be enrolled"),
        ("", "node", "[xpack.security.enrollment.enabled] must be set to `true`"),
        ("xpack.security.enrollment.enabled: true\n", "node", "is not configured with a keystore"),
        (
            "xpack.security.enrollment.enabled: true\n"
            "xpack.security.http.ssl: {enabled: true, keystore.path: no.p12}\n",
            "node",
            "cannot read the keystore",
        ),
    ],
)
def test_what_a_node_cannot_hand_out(tmp_path: Path, yml: str, scope: str, words: str) -> None:
    (tmp_path / "elasticsearch.yml").write_text(yml)
    result = run(tmp_path, "-s", scope)
    assert result.exit_code in (64, 78)
    assert words in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elasticsearch.yml"]

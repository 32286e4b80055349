"""Settings of the API-key model: parsed with their own defaults, files checked, the model refused in one line."""

from __future__ import annotations

import ssl

import pytest

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls.remote_access import REMOTE_SERVER_ENABLED, remote_access_contexts
from hanse.tls.ssl_settings import REMOTE_CLIENT, REMOTE_SERVER, read_ssl_settings

from .conftest import Place


def test_the_defaults_are_those_of_elasticsearch(place: Place) -> None:
    server = read_ssl_settings(Settings(), REMOTE_SERVER, place.folder)
    client = read_ssl_settings(Settings(), REMOTE_CLIENT, place.folder)
    assert (server.enabled, server.client_authentication, server.verification_mode) == (True, "none", "full")
    assert (client.enabled, client.client_authentication, client.verification_mode) == (True, "none", "full")


def test_the_model_is_refused_in_one_line(place: Place) -> None:
    with pytest.raises(SettingsError) as raised:
        remote_access_contexts(Settings({REMOTE_SERVER_ENABLED.key: "true"}), place.folder)
    assert raised.value.reason.startswith("[remote_cluster_server.enabled] is [true], but the API-key model of remote ")
    assert "\n" not in raised.value.reason


def test_nothing_configured_reads_nothing(place: Place) -> None:
    assert remote_access_contexts(Settings(), place.folder) == []


def test_a_client_needs_no_certificate_of_its_own_and_no_enabled(place: Place) -> None:
    place.authority("ca")
    settings = Settings({f"{REMOTE_CLIENT}.certificate_authorities": "ca.crt"})
    (contexts,) = remote_access_contexts(settings, place.folder)
    assert contexts.prefix == REMOTE_CLIENT
    assert contexts.trusted == (place.authority("ca").certificate,)
    assert contexts.client().verify_mode is ssl.CERT_REQUIRED
    assert contexts.files == (place.folder / "ca.crt",)
    with pytest.raises(SettingsError, match="requires a key and certificate"):
        contexts.server()
    relaxed = settings.merged({f"{REMOTE_CLIENT}.verification_mode": "certificate"})
    assert not remote_access_contexts(relaxed, place.folder)[0].client().check_hostname


def test_a_server_is_built_from_its_files(place: Place) -> None:
    place.write("berlin", "ca")
    settings = place.settings("berlin", "ca", prefix=REMOTE_SERVER)
    (contexts,) = remote_access_contexts(settings, place.folder)
    assert contexts.server().verify_mode is ssl.CERT_NONE
    mutual = settings.merged({f"{REMOTE_SERVER}.client_authentication": "required"})
    assert remote_access_contexts(mutual, place.folder)[0].server().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("prefix", [REMOTE_SERVER, REMOTE_CLIENT])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"certificate_authorities": "missing.crt"}, "because the file does not exist"),
        ({"certificate": "a.crt"}, "without also setting"),
        ({"keystore.path": "a.jks"}, "keytool -importkeystore"),
        ({"truststore.path": "../trust.p12"}, "SSL resources should be placed in the"),
        ({"enabled": "perhaps"}, "only [true] or [false] are allowed"),
    ],
)
def test_wrong_files_stop_the_start(place: Place, prefix: str, values: dict[str, str], words: str) -> None:
    settings = Settings({f"{prefix}.{name}": value for name, value in values.items()})
    with pytest.raises(SettingsError) as raised:
        remote_access_contexts(settings, place.folder)
    assert words in raised.value.reason
    assert prefix in raised.value.reason


def test_switched_off_reads_nothing(place: Place) -> None:
    settings = Settings({f"{REMOTE_CLIENT}.enabled": "false", f"{REMOTE_CLIENT}.certificate_authorities": "no.crt"})
    assert not remote_access_contexts(settings, place.folder)[0].enabled

"""What `certutil http` explains on the way, and the files for people that lie in its zip.

Tests: tests/cli/test_certutil_http.py.
"""

from __future__ import annotations

WELCOME = """\
## HTTP certificates

This makes the certificate that this cluster shows to its clients on the HTTP port."""

REQUEST = """\
## A signing request, or a certificate?

Where your organisation has a certificate authority of its own, a certificate signing request (CSR) lets it sign.
Otherwise a certificate is made here, signed by an authority that you have or that is made here too."""

AUTHORITY = """\
## Which authority signs?

An authority that your clients trust already needs no change on their side. It is a PKCS#12 file, or a PEM certificate
with its PEM key. Without one, a new authority is made."""

NEW_AUTHORITY = "## A new certificate authority\n\nThese are its options:"

VALIDITY = """\
## How long?

Years, months or days, such as 5y, 18m or 365d. A shorter time is safer and has to be renewed sooner."""

PER_NODE = """\
## One certificate, or one for each node?

A certificate for each node keeps a stolen key from speaking for the others. One for all is less work."""

HOST_NAMES = """\
## Which host names do clients use?

One a line, an empty line when you are done. A wildcard such as *.example.com stands for every name below."""

ADDRESSES = """\
## Which IP addresses do clients use?

One a line, an empty line when you are done. Needed only for clients that connect without a name."""

KEY_PROTECTION = """\
## A password for the private key

It is asked for again when the node's keystore is told it."""

OUTPUT = (
    "## Where to\n\nThe result is a zip file. It holds private keys: keep it safe, and delete it when it is unpacked."
)


def store_settings(has_password: bool) -> str:
    secure = (
        "# The password goes into the keystore:\n"
        "#   elasticsearch-keystore add xpack.security.http.ssl.keystore.secure_password\n"
        if has_password
        else ""
    )
    return (
        "# HTTPS for clients. Add this to elasticsearch.yml.\n"
        "xpack.security.http.ssl.enabled: true\n"
        "xpack.security.http.ssl.keystore.path: http.p12\n"
        f"{secure}"
    )


def pem_settings(name: str, has_password: bool) -> str:
    secure = (
        "# The password of the key goes into the keystore:\n"
        "#   elasticsearch-keystore add xpack.security.http.ssl.secure_key_passphrase\n"
        if has_password
        else ""
    )
    return (
        "# HTTPS for clients. Add this to elasticsearch.yml once the authority has signed.\n"
        "xpack.security.http.ssl.enabled: true\n"
        f"xpack.security.http.ssl.key: {name}.key\n"
        f"xpack.security.http.ssl.certificate: {name}.crt\n"
        f"{secure}"
    )


def node_readme(file: str, has_password: bool) -> str:
    if file.endswith(".csr"):
        first = (
            f"Give [{file}] to your certificate authority and put what it signs beside the key as [{file[:-4]}.crt]."
        )
    else:
        first = f"Copy [{file}] into the config folder of the node."
    last = (
        "Its password is the one you typed; the sample says where it goes." if has_password else "It has no password."
    )
    return (
        f"{first}\nThen add the lines of [sample-elasticsearch.yml] to elasticsearch.yml and start the node.\n{last}\n"
    )


def ca_readme(has_password: bool) -> str:
    password = "Its password is the one you typed." if has_password else "It has no password: nothing else protects it."
    return (
        "[ca.p12] is the new certificate authority with its private key. It is needed to sign further certificates\n"
        f"and by no node: keep it off the nodes. {password}\n"
    )


KIBANA_README = """\
Copy [elasticsearch-ca.pem] into the config folder of Kibana and add the lines of [sample-kibana.yml] to kibana.yml.
Every other client verifies the cluster with the same file.
"""

KIBANA_SETTINGS = """\
elasticsearch.hosts: [ "https://localhost:9200" ]
elasticsearch.ssl.certificateAuthorities: [ "config/elasticsearch-ca.pem" ]
"""

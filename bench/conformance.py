"""`make conformance`: starts the nodes, runs the public YAML REST tests beside the checkout, prints passed and failed.

The tests and their runner are not part of this project; `--suite-folder` says where they lie.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from hanse.cli.local_cluster import LocalNode, trust_each_other
from hanse.tls.authority import CertificateAuthority

SINGLE = ("yaml/B", "yaml/D", "yaml/E", "yaml/clients")
PAIRS = ("ccs-plain", "ccs-security-basic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite-folder", type=Path, required=True)
    parser.add_argument("--only", help="one folder (yaml/B) or suite (ccs-plain)")
    parser.add_argument("--filter", help="only tests whose name this regular expression finds")
    parser.add_argument("--output", type=Path, help="write the full output of every run here")
    parser.add_argument("-v", "--verbose", action="store_true", help="show failing tests")
    options = parser.parse_args()
    if not (options.suite_folder / "run_yaml.py").exists():
        print(f"no conformance suite at {options.suite_folder}: nothing to run")
        return
    wanted = [options.only] if options.only else [*SINGLE, *PAIRS]
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(wanted):
            lines = run(options, name, Path(folder) / str(number))
            if options.output:
                with open(options.output, "a") as file:
                    file.write("".join(lines))
            shown = lines if options.verbose else lines[-2:]
            print(f"== {name}\n" + "".join(shown), flush=True)


def run(options: argparse.Namespace, name: str, folder: Path) -> list[str]:
    """One folder against one node, or one suite against two clusters."""
    base = [sys.executable, str(options.suite_folder / "run_yaml.py")]
    if options.filter:
        base += ["--filter", options.filter]
    main_node = LocalNode(folder / "main", "main", CertificateAuthority.create("CN=ca-main"))
    if not name.startswith("ccs-"):
        with main_node as node:
            return _lines([*base, *_access(node), str(options.suite_folder / name)])
    remote = LocalNode(folder / "remote", "remote", CertificateAuthority.create("CN=ca-remote"))
    trust_each_other(main_node, remote)
    with remote:
        # The tests read this remote from the node's own configuration.
        settings = main_node.config / "elasticsearch.yml"
        settings.write_text(
            settings.read_text()
            + f'cluster.remote.my_remote_cluster.seeds: ["{remote.transport_address}"]\n'
            + "cluster.remote.my_remote_cluster.skip_unavailable: false\n"
        )
        joint = folder / "ca.crt"
        joint.write_bytes(main_node.ca_file.read_bytes() + remote.ca_file.read_bytes())
        with main_node as node:
            access = _access(node)
            access[access.index("--ca") + 1] = str(joint)
            user = f"elastic:{remote.password}"
            return _lines([*base, "--suite", name, *access, "--remote-url", remote.url, "--remote-user", user])


def _access(node: LocalNode) -> list[str]:
    return ["--url", node.url, "--user", f"elastic:{node.password}", "--ca", str(node.ca_file)]


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.splitlines(keepends=True)


if __name__ == "__main__":
    main()

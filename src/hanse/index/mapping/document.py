"""From a document's JSON to what the search index holds, and to the mapping update its new fields need.

The hot path of every write: a `DocumentMapper` is compiled once per mapping into dictionaries from key to writer, and
a document is walked once. Whatever is rare (unknown keys, errors, duplicate keys, numbers that need their text) has a
slower path of its own. A document with new fields is checked against the mapping as it would become, so that an update
is never committed for a document that is then refused. Nested objects are read like plain ones: the values of all of
them stand in the same columns. Tests: tests/index/test_document.py, test_dynamic.py; speed: bench/mapping.py.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import tantivy

from hanse.errors import DocumentParsingError, HanseError, IllegalArgumentError, StrictDynamicMappingError
from hanse.index.mapping.definition import shown
from hanse.index.mapping.field_type import FieldType
from hanse.index.mapping.mapping import Mapping
from hanse.index.mapping.merge import is_object
from hanse.index.mapping.parameters import METADATA_FIELDS, TIMESTAMP
from hanse.index.mapping.source import check_duplicates, count_keys, locate, parse, parse_exactly
from hanse.index.mapping.values import plain_text
from hanse.index.mapping.writers import Collected, ExactNumbersNeededError, FieldFailure, Put, writer
from hanse.index.slots import EXISTS_FIELD, IGNORED_FIELD

_PREVIEW_CHARACTERS = 1000


@dataclass(slots=True)
class MappedDocument:
    """`values` by slot. With `dynamic` they are not complete: commit that update first, then map again."""

    values: dict[str, Any]
    dynamic: dict[str, Any] | None = None
    ignored: tuple[str, ...] = ()
    pretokenized: list[tuple[str, tantivy.PreTokenizedString]] = field(default_factory=list)

    def document(self, schema: tantivy.Schema, **extra: Any) -> tantivy.Document:
        """What the index writer takes; `extra` are further fields, such as `_id` and `_seq_no`."""
        made = tantivy.Document.from_dict({**self.values, **extra}, schema)
        for slot, tokens in self.pretokenized:
            made.add_pre_tokenized_text(slot, tokens)
        return made


class _Node:
    """An object of the mapping: its keys (and dotted ones below) with their writers."""

    __slots__ = ("children", "dynamic", "path", "puts")

    def __init__(self, path: str, dynamic: str) -> None:
        self.path = path
        self.dynamic = dynamic
        self.puts: dict[str, Put] = {}
        self.children: dict[str, _Node] = {}

    def below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


class _Refused(Exception):
    """A document's fault at a path, before line and column are known."""

    def __init__(self, path: str, value: Any, reason: str, error: type[HanseError], cause: HanseError | None = None):
        super().__init__(reason)
        self.path, self.value, self.reason, self.error, self.cause = path, value, reason, error, cause


class DocumentMapper:
    """Maps documents for one mapping. May be shared between threads."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._coerce = mapping.setting("coerce", True)
        self._ignore_malformed = mapping.setting("ignore_malformed", False)
        self._ignores_beyond_limit = mapping.setting("total_fields.ignore_dynamic_beyond_limit", False)
        self._nested_limit = mapping.nested_objects_limit
        self._plain: dict[str, Put] = {}
        self._constants: dict[str, str] = {}
        mappings = mapping.to_json()
        self._is_enabled: bool = mappings.get("enabled", True)
        self._root = self._compile(mappings, "", "true")

    def map(self, source: bytes, id: str | None = None, *, is_part: bool = False) -> MappedDocument:
        """Raises DocumentParsingError or StrictDynamicMappingError; `id` is for the texts. `is_part`: of an update."""
        parsed = parse(source)
        if self._mapping.is_of_data_stream and not is_part:
            _check_timestamp(parsed)
        document = Collected()
        try:
            self._read(parsed, document)
        except ExactNumbersNeededError:
            document = Collected()
            self._read_checked(parse_exactly(source), document, source, id)
        except (FieldFailure, _Refused, RecursionError) as failure:
            self._refuse(failure, source, id)
        check_duplicates(source, document.keys)
        if document.update is not None:
            self._check_update(document, source, id)
            return MappedDocument({}, {"properties": document.update}, tuple(document.ignored))
        return self._finished(document)

    def _read_checked(self, parsed: dict[str, Any], document: Collected, source: bytes, id: str | None) -> None:
        try:
            self._read(parsed, document)
        except (FieldFailure, _Refused, RecursionError) as failure:
            self._refuse(failure, source, id)

    def _read(self, parsed: dict[str, Any], document: Collected) -> None:
        if self._is_enabled:
            self._walk(self._root, parsed, document)
        else:
            document.keys += count_keys(parsed)

    def _walk(self, node: _Node, parsed: dict[str, Any], document: Collected) -> None:
        document.keys += len(parsed)
        puts = node.puts
        for name, value in parsed.items():
            put = puts.get(name)
            if put is not None:
                put(value, document)
            else:
                self._unknown(node, name, value, document)

    def _finished(self, document: Collected) -> MappedDocument:
        values = document.values
        for slot in document.multiple:
            # The first value is the least; a keyword or an address stands once, as its documents count once.
            kind = slot[0]
            if kind == "k":
                values[slot] = sorted(set(values[slot]))
            elif kind == "i":
                values[slot] = list(dict.fromkeys(values[slot]))
            elif kind != "t":
                values[slot].sort()
        if self._constants:
            values.update(self._constants)
        if document.exists:
            values[EXISTS_FIELD] = document.exists
        if not document.ignored:
            return MappedDocument(values, None, (), document.pretokenized)
        ignored = tuple(dict.fromkeys(document.ignored))
        values[IGNORED_FIELD] = list(ignored)
        return MappedDocument(values, None, ignored, document.pretokenized)

    # Compiling

    def _compile(self, definition: AbstractMapping[str, Any], path: str, dynamic: str) -> _Node:
        node = _Node(path, definition.get("dynamic", dynamic))
        for name, item in definition.get("properties", {}).items():
            full = node.below(name)
            if is_object(item):
                if not item.get("enabled", True):
                    node.puts[name] = _put_nothing
                    continue
                child = self._compile(item, full, node.dynamic)
                node.children[name] = child
                node.puts[name] = self._object_writer(
                    child, self._nested_limit if item.get("type") == "nested" else None
                )
                node.puts.update({f"{name}.{below}": put for below, put in child.puts.items()})
            else:
                node.puts[name] = self._leaf_writer(full, item)
        return node

    def _object_writer(self, node: _Node, nested_limit: int | None) -> Put:
        walk = self._walk

        def put(value: Any, document: Collected) -> None:
            if value.__class__ is dict:
                if nested_limit is not None:
                    document.nested += 1
                    if document.nested > nested_limit:
                        raise _too_many_nested(node.path, value, nested_limit)
                walk(node, value, document)
            elif value.__class__ is list:
                for item in value:
                    put(item, document)
            elif value is not None:
                name = node.path.rpartition(".")[2]
                reason = (
                    f"object mapping for [{node.path}] tried to parse field [{name}] as object, but found a concrete "
                    f"value"
                )
                raise _Refused(node.path, value, reason, DocumentParsingError)

        return put

    def _leaf_writer(self, path: str, definition: AbstractMapping[str, Any]) -> Put:
        if definition["type"] == "alias":
            return self._alias_writer(path)
        plain = self._plain_writer(path, definition)
        self._plain[path] = plain
        targets = definition.get("copy_to", ())
        if not targets:
            return plain

        def put(value: Any, document: Collected) -> None:
            keys = document.keys
            plain(value, document)
            if value is None:
                return
            for target in targets:
                copy = self._plain.get(target)
                if copy is not None:
                    copy(value, document)
                else:
                    self._unknown(self._root, target, value, document)
            document.keys = keys + count_keys(value)

        return put

    def _plain_writer(self, path: str, definition: AbstractMapping[str, Any]) -> Put:
        """The field with its multi-fields, without copies."""
        paths = [path, *(f"{path}.{name}" for name in definition.get("fields", {}))]
        puts = []
        for each in paths:
            found = self._mapping.field(each)
            if found is not None:
                puts.append(self._writer(found))
        if len(puts) == 1:
            return puts[0]
        if len(puts) == 2:
            first, second = puts

            def put_both(value: Any, document: Collected) -> None:
                first(value, document)
                second(value, document)

            return put_both

        def put_all(value: Any, document: Collected) -> None:
            for put in puts:
                put(value, document)

        return put_all

    def _writer(self, found: FieldType) -> Put:
        put = writer(found, coerce=self._coerce, ignore_malformed=self._ignore_malformed)
        if found.type != "constant_keyword" or found.slot is None:
            return put
        if found.params.get("value") is not None:
            self._constants[found.slot] = str(found.params["value"])
            return put

        def put_first(value: Any, document: Collected) -> None:
            if value is not None and not isinstance(value, dict | list):
                definition = {"type": "constant_keyword", **found.params, "value": plain_text(value)}
                self._add(found.path, definition, document)

        return put_first

    def _alias_writer(self, path: str) -> Put:
        def put(value: Any, document: Collected) -> None:
            cause = IllegalArgumentError(f"Cannot write to a field alias [{path}].")
            raise _Refused(path, value, "failed to parse", DocumentParsingError, cause)

        return put

    # Unknown keys

    def _unknown(self, node: _Node, name: str, value: Any, document: Collected) -> None:
        _check_name(node, name, value)
        head, dot, rest = name.partition(".")
        if dot:
            child = node.children.get(head)
            if child is None:
                if head in node.puts:
                    found = self._mapping.field(node.below(head))
                    if found is None:
                        # An object that is not enabled.
                        document.keys += count_keys(value)
                        return
                    reason = (
                        f"Could not dynamically add mapping for field [{node.below(name)}]. Existing mapping for "
                        f"[{node.below(head)}] must be of type object but found [{found.type}]."
                    )
                    cause = IllegalArgumentError(reason)
                    raise _Refused(node.below(name), value, "failed to parse", DocumentParsingError, cause)
                child = self._new_object(node, head, value, document)
                if child is None:
                    document.keys += count_keys(value)
                    return
            put = child.puts.get(rest)
            if put is not None:
                put(value, document)
            else:
                self._unknown(child, rest, value, document)
            return
        if value is None or value == []:
            return
        if not self._may_add(node, name, value, document):
            document.keys += count_keys(value)
            return
        if isinstance(value, dict):
            self._new_child(node, name, value, document)
        elif isinstance(value, list):
            for item in value:
                known = node.children.get(name)
                if isinstance(item, dict) or known is not None or isinstance(item, list):
                    self._unknown_item(node, name, item, document)
                elif item is not None:
                    self._new_leaf(node, name, item, document)
        else:
            self._new_leaf(node, name, value, document)

    def _unknown_item(self, node: _Node, name: str, item: Any, document: Collected) -> None:
        if isinstance(item, list) and not item:
            return
        self._unknown(node, name, item, document)

    def _may_add(self, node: _Node, name: str, value: Any, document: Collected) -> bool:
        if node.dynamic == "strict":
            within = node.path or "_doc"
            reason = f"mapping set to strict, dynamic introduction of [{name}] within [{within}] is not allowed"
            raise _Refused(node.below(name), value, reason, StrictDynamicMappingError)
        if node.dynamic == "false":
            return False
        if self._ignores_beyond_limit and document.new_fields >= self._mapping.total_fields_left:
            document.ignored.append(node.below(name))
            return False
        return True

    def _new_child(self, node: _Node, name: str, value: dict[str, Any], document: Collected) -> None:
        child = node.children.get(name) or self._new_object(node, name, value, document)
        if child is not None:
            self._walk(child, value, document)
        else:
            document.keys += count_keys(value)

    def _new_object(self, node: _Node, name: str, value: Any, document: Collected) -> _Node | None:
        """A node for an object that is not mapped yet; None when a template or `dynamic` wants it otherwise."""
        path = node.below(name)
        if not self._may_add(node, name, value, document):
            return None
        definition = self._mapping.rules.definition(path, {})
        self._add(path, definition, document)
        if not is_object(definition) or not definition.get("enabled", True):
            return None
        self._check_depth(path, value)
        return _Node(path, str(definition.get("dynamic", node.dynamic)).lower())

    def _new_leaf(self, node: _Node, name: str, value: Any, document: Collected) -> None:
        if value.__class__ is float and (abs(value) >= 2**63):
            raise ExactNumbersNeededError
        path = node.below(name)
        self._add(path, self._mapping.rules.definition(path, value), document)

    def _add(self, path: str, definition: dict[str, Any], document: Collected) -> None:
        """Notes a new field for the mapping update; the first value of a document decides its type."""
        if document.update is None:
            document.update = {}
        properties = document.update
        *parents, name = path.split(".")
        for depth, parent in enumerate(parents, 1):
            known = properties.setdefault(parent, {"properties": {}})
            if self._mapping.object_type(".".join(parents[:depth])) == "nested":
                known["type"] = "nested"
            properties = known.setdefault("properties", {})
        present = properties.get(name)
        if present is None:
            properties[name] = dict(definition)
            document.new_fields += 1

    def _check_depth(self, path: str, value: Any) -> None:
        limit = self._mapping.depth_limit
        if path.count(".") + 2 > limit:
            cause = IllegalArgumentError(
                f"Limit of mapping depth [{limit}] has been exceeded due to object field [{path}]"
            )
            raise _Refused(path, value, "failed to parse", DocumentParsingError, cause)

    def _check_update(self, document: Collected, source: bytes, id: str | None) -> None:
        """The document must fit the mapping it asks for. Raises what mapping it then would raise."""
        assert document.update is not None
        try:
            merged = self._mapping.merged({"properties": document.update}, added=document.new_fields)
        except HanseError as error:
            raise DocumentParsingError("[1:1] failed to parse", caused_by=error) from error
        again = DocumentMapper(merged)
        mapped = Collected()
        try:
            again._read(parse_exactly(source), mapped)
        except (FieldFailure, _Refused, RecursionError) as failure:
            self._refuse(failure, source, id)

    # Refusing

    def _refuse(self, failure: Exception, source: bytes, id: str | None) -> NoReturn:
        if isinstance(failure, FieldFailure):
            where = locate(source, failure.field.source_path, failure.value)
            with_id = f" with id '{id}'" if id is not None else ""
            preview = _preview(failure.value)
            raise DocumentParsingError(
                f"{where} failed to parse field [{failure.field.path}] of type [{failure.field.type}] in document"
                f"{with_id}. Preview of field's value: '{preview}'",
                caused_by=failure.cause,
            ) from failure
        if isinstance(failure, _Refused):
            where = locate(source, failure.path, failure.value)
            raise failure.error(f"{where} {failure.reason}", caused_by=failure.cause) from failure
        cause = IllegalArgumentError("the document's objects and arrays are nested too deep")
        raise DocumentParsingError("[1:1] failed to parse", caused_by=cause) from failure


def _check_timestamp(parsed: dict[str, Any]) -> None:
    """Every document of a data stream is of one moment."""
    value = parsed.get(TIMESTAMP)
    if value is None:
        raise DocumentParsingError(f"[1:1] failed to parse: data stream timestamp field [{TIMESTAMP}] is missing")
    if value.__class__ is list and len(value) != 1:
        raise DocumentParsingError(
            f"[1:1] failed to parse: data stream timestamp field [{TIMESTAMP}] encountered multiple values"
        )


def _too_many_nested(path: str, value: Any, limit: int) -> _Refused:
    reason = (
        f"The number of nested documents has exceeded the allowed limit of [{limit}]. This limit can be set by "
        f"changing the [index.mapping.nested_objects.limit] index level setting."
    )
    return _Refused(path, value, reason, DocumentParsingError)


def _put_nothing(value: Any, document: Collected) -> None:
    """An object that is not enabled: anything may stand there."""
    document.keys += count_keys(value)


def _check_name(node: _Node, name: str, value: Any) -> None:
    """Raises for a name that cannot be a field's."""
    path = node.below(name)
    reason = None
    if not name:
        reason = "field name cannot be an empty string"
    elif not name.strip():
        reason = "field name cannot contain only whitespace"
    elif not node.path and name in METADATA_FIELDS:
        reason = (
            f"Field [{name}] is a metadata field and cannot be added inside a document. Use the index API request "
            f"parameters."
        )
        raise _Refused(path, value, reason, DocumentParsingError)
    elif not name.strip("."):
        reason = "field name cannot contain only the character [.]"
    elif name.startswith(".") or name.endswith(".") or ".." in name:
        reason = f"field name starting or ending with a [.] makes object resolution ambiguous: [{path}]"
        if ".." in name:
            reason = f"field name cannot contain only whitespace: ['{path}']"
    if reason is not None:
        raise _Refused(path, value, "failed to parse", DocumentParsingError, IllegalArgumentError(reason))


def _preview(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= _PREVIEW_CHARACTERS else text[:_PREVIEW_CHARACTERS]

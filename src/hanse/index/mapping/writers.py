"""How a field's JSON value gets into a document for the search index: one small function per mapped field.

They are made once per mapping and called for every value, so each keeps its common case short: a look at the value's
class, one conversion, one assignment. `null` is the null_value or nothing; arrays give several values in one slot.
Tests: tests/index/test_document.py.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import tantivy

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping import values as conversions
from hanse.index.mapping.field_type import KEY_SEPARATOR, FieldType
from hanse.index.mapping.source import count_keys
from hanse.index.mapping.values import IllegalStateError, plain_text

TERM_BYTES_MAX = 32_766
_EXACT_BELOW = 2.0**53
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FLATTENED_DEPTH = 20


class Collected:
    """A document while it is read."""

    __slots__ = ("exists", "ignored", "keys", "multiple", "nested", "new_fields", "pretokenized", "update", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.exists: list[str] = []
        self.ignored: list[str] = []
        self.multiple: set[str] = set()
        self.pretokenized: list[tuple[str, tantivy.PreTokenizedString]] = []
        self.keys = 0
        self.nested = 0
        self.update: dict[str, Any] | None = None
        self.new_fields = 0

    def append(self, slot: str, value: Any) -> None:
        """A further value of a slot that has one."""
        present = self.values[slot]
        if type(present) is list:
            present.append(value)
        else:
            self.values[slot] = [present, value]
            self.multiple.add(slot)


Put = Callable[[Any, Collected], None]


class FieldFailure(Exception):
    """A value its field cannot take."""

    def __init__(self, field: FieldType, value: Any, cause: HanseError) -> None:
        super().__init__(cause.reason)
        self.field = field
        self.value = value
        self.cause = cause


class ExactNumbersNeededError(Exception):
    """The fast parser's float will not do: the number's own text is wanted."""


def writer(field: FieldType, *, coerce: bool = True, ignore_malformed: bool = False) -> Put:
    """The function that takes the field's values. The two parameters are the index' defaults."""
    coerce = bool(field.params.get("coerce", coerce))
    lenient = bool(field.params.get("ignore_malformed", ignore_malformed))
    if field.kind == "text":
        return _text(field)
    if field.kind == "keyword":
        return _keyword(field)
    if field.kind == "long":
        return _column(field, _long(field, coerce), lenient)
    if field.kind == "double":
        return _column(field, _double(field, coerce), lenient)
    if field.kind == "date":
        return _column(field, _date(field), lenient)
    if field.kind == "boolean":
        return _column(field, conversions.boolean_of, lenient)
    if field.kind == "ip":
        return _address(field, lenient)
    if field.kind == "geo_point":
        return _point(field, lenient)
    if field.kind == "flattened":
        return _flattened(field)
    return _stored(field)


def _column(field: FieldType, convert: Callable[[Any], Any], lenient: bool) -> Put:
    """A field with one plain column; `convert` has the common case first."""
    slot, null_value, path = field.slot, field.null_value, field.path
    assert slot is not None
    default = None if null_value is None else field.slot_value(null_value)

    def put(value: Any, document: Collected) -> None:
        kind = value.__class__
        if kind is list:
            for item in value:
                put(item, document)
            return
        if value is None:
            if default is None:
                return
            converted = default
        else:
            try:
                converted = convert(value)
            except HanseError as error:
                if not lenient or kind is dict:
                    raise FieldFailure(field, value, error) from error
                document.ignored.append(path)
                return
        values = document.values
        if slot in values:
            document.append(slot, converted)
        else:
            values[slot] = converted

    return put


def _long(field: FieldType, coerce: bool) -> Callable[[Any], Any]:
    kind = field.type
    low, high = conversions.INTEGER_RANGES[kind]

    def convert(value: Any) -> int:
        if value.__class__ is int and low <= value <= high:
            return int(value)
        if value.__class__ is float and abs(value) >= _EXACT_BELOW:
            raise ExactNumbersNeededError
        return conversions.integer_of(kind, value, coerce)

    return convert


def _double(field: FieldType, coerce: bool) -> Callable[[Any], Any]:
    kind = field.type
    if kind == "scaled_float":
        factor = float(field.params["scaling_factor"])
        return lambda value: conversions.scaled_of(value, factor, coerce)
    if kind == "double":

        def convert(value: Any) -> float:
            if value.__class__ is float and math.isfinite(value):
                return float(value)
            return conversions.float_of(kind, value, coerce)

        return convert
    return lambda value: conversions.float_of(kind, value, coerce)


def _date(field: FieldType) -> Callable[[Any], Any]:
    date_format = field.date_format
    assert date_format is not None
    parse, reads_iso, reads_millis = date_format.parse, date_format.reads_iso, date_format.reads_epoch_millis
    from_iso = datetime.datetime.fromisoformat

    def convert(value: Any) -> int:
        if value.__class__ is str:
            # 2024-05-06T07:08:09Z and ...09.123Z, by far the most frequent forms; the places of all marks are checked.
            if (
                reads_iso
                and len(value) in (20, 24)
                and value[4] + value[10] + value[13] + value[16] + value[-1] == "-T::Z"
            ):
                try:
                    moment = from_iso(value)
                except ValueError:
                    return parse(value)
                since = moment - _EPOCH
                return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
            return parse(value)
        if value.__class__ is int and reads_millis and reads_iso and (value > 9999 or value < 1000):
            return int(value)
        if value.__class__ is bool or isinstance(value, dict | list):
            raise IllegalArgumentError(f"failed to parse date field [{value}] with format [{date_format.pattern}]")
        if value.__class__ is float:
            raise ExactNumbersNeededError
        return parse(plain_text(value))

    return convert


def _text(field: FieldType) -> Put:
    slot, analyzer = field.slot, field.analyzer
    assert slot is not None and analyzer is not None  # noqa: PT018  every text field has both
    prepare = analyzer.prepare
    pretokenized = analyzer.pretokenized if analyzer.is_pretokenized else None

    def put(value: Any, document: Collected) -> None:
        kind = value.__class__
        if kind is not str:
            if kind is list:
                for item in value:
                    put(item, document)
                return
            if value is None:
                return
            value = _text_of(field, value)
        if pretokenized is not None:
            document.pretokenized.append((slot, pretokenized(value)))
            if slot not in document.exists:
                document.exists.append(slot)
            return
        values = document.values
        if slot in values:
            document.append(slot, prepare(value))
        else:
            values[slot] = prepare(value)
            document.exists.append(slot)

    return put


def _text_of(field: FieldType, value: Any) -> str:
    if value.__class__ is float:
        raise ExactNumbersNeededError
    try:
        return plain_text(value)
    except IllegalStateError as error:
        raise FieldFailure(field, value, error) from error


def _keyword(field: FieldType) -> Put:
    slot, path, null_value = field.slot, field.path, field.null_value
    assert slot is not None
    longest = field.ignore_above
    normalize = field.normalizer.normalize if field.normalizer else None
    checked = min(TERM_BYTES_MAX // 4, longest if longest is not None else TERM_BYTES_MAX)
    constant = field.params.get("value") if field.type == "constant_keyword" else None

    def put(value: Any, document: Collected) -> None:
        kind = value.__class__
        if kind is not str:
            if kind is list:
                for item in value:
                    put(item, document)
                return
            if value is None:
                if null_value is None:
                    return
                value = null_value
            value = _text_of(field, value)
        if len(value) > checked:
            if longest is not None and len(value) > longest:
                document.ignored.append(path)
                return
            _check_term(path, value)
        if normalize is not None:
            value = normalize(value)
        if constant is not None and value != constant:
            raise FieldFailure(field, value, _not_constant(path, constant, value))
        values = document.values
        if slot in values:
            document.append(slot, value)
        else:
            values[slot] = value

    return put


def _not_constant(path: str, constant: str, value: str) -> IllegalArgumentError:
    return IllegalArgumentError(
        f"[constant_keyword] field [{path}] only accepts values that are equal to the value defined in the mappings "
        f"[{constant}], but got [{value}]"
    )


def _check_term(path: str, value: str) -> None:
    encoded = value.encode("utf-8", "surrogatepass")
    if len(encoded) > TERM_BYTES_MAX:
        prefix = ", ".join(str(byte - 256 if byte > 127 else byte) for byte in encoded[:30])
        raise IllegalArgumentError(
            f'Document contains at least one immense term in field="{path}" (whose UTF8 encoding is longer than the '
            f"max length {TERM_BYTES_MAX}), all of which were skipped.  Please correct the analyzer to not produce "
            f"such terms.  The prefix of the first immense term is: '[{prefix}]...'"
        )


def _address(field: FieldType, lenient: bool) -> Put:
    slot, order_slot, path = field.slot, field.order_slot, field.path
    assert slot is not None and order_slot is not None  # noqa: PT018  every ip field has both
    null_value = field.null_value

    def put(value: Any, document: Collected) -> None:
        if value.__class__ is list:
            for item in value:
                put(item, document)
            return
        if value is None:
            if null_value is None:
                return
            value = null_value
        try:
            address, order = conversions.address_of(value)
        except HanseError as error:
            if not lenient or isinstance(value, dict):
                raise FieldFailure(field, value, error) from error
            document.ignored.append(path)
            return
        values = document.values
        if slot in values:
            document.append(slot, address)
            document.append(order_slot, order)
        else:
            values[slot], values[order_slot] = address, order

    return put


def _point(field: FieldType, lenient: bool) -> Put:
    latitude_slot, longitude_slot, path = field.slot, field.order_slot, field.path
    assert latitude_slot is not None and longitude_slot is not None  # noqa: PT018  every geo_point has both
    null_value = field.null_value

    def put(value: Any, document: Collected) -> None:
        document.keys += count_keys(value)
        put_point(value, document)

    def put_point(value: Any, document: Collected) -> None:
        if isinstance(value, list) and not (value and isinstance(value[0], int | float)):
            for item in value:
                put_point(item, document)
            return
        if value is None:
            if null_value is None:
                return
            value = null_value
        try:
            latitude, longitude = conversions.point_of(value)
        except HanseError as error:
            if not lenient:
                raise FieldFailure(field, value, error) from error
            document.ignored.append(path)
            return
        # Lists of their own, never sorted: the nth latitude belongs to the nth longitude.
        document.values.setdefault(latitude_slot, []).append(latitude)
        document.values.setdefault(longitude_slot, []).append(longitude)

    return put


def _flattened(field: FieldType) -> Put:
    slot, keyed_slot, path = field.slot, field.order_slot, field.path
    assert slot is not None and keyed_slot is not None  # noqa: PT018  every flattened field has both
    deepest = int(field.params.get("depth_limit", _FLATTENED_DEPTH))
    longest = field.ignore_above

    def put(value: Any, document: Collected) -> None:
        document.keys += count_keys(value)
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            if not isinstance(item, dict):
                cause = IllegalArgumentError(
                    "Failed to parse object: expecting token of type [START_OBJECT] but found [VALUE]"
                )
                raise FieldFailure(field, item, cause)
            put_object(item, document)

    def put_object(value: dict[str, Any], document: Collected) -> None:
        waiting: list[tuple[str, Any, int]] = [("", value, 0)]
        while waiting:
            key, item, depth = waiting.pop()
            if isinstance(item, dict):
                if depth >= deepest:
                    cause = IllegalArgumentError(
                        f"The provided [flattened] field [{path}] exceeds the maximum depth limit of [{deepest}]."
                    )
                    raise FieldFailure(field, item, cause)
                waiting.extend((f"{key}.{name}" if key else name, below, depth + 1) for name, below in item.items())
            elif isinstance(item, list):
                waiting.extend((key, below, depth) for below in item)
            elif item is not None:
                text = _text_of(field, item)
                if longest is not None and len(text) > longest:
                    document.ignored.append(path)
                    continue
                _check_term(path, key + KEY_SEPARATOR + text)
                for target, term in ((slot, text), (keyed_slot, key + KEY_SEPARATOR + text)):
                    document.values.setdefault(target, []).append(term)
                    document.multiple.add(target)

    return put


def _stored(field: FieldType) -> Put:
    def put(value: Any, document: Collected) -> None:
        document.keys += count_keys(value)
        if value is not None and field.path not in document.exists:
            document.exists.append(field.path)

    return put

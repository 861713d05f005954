"""The records that components take and return.

Plain classes with the fields of the package `eval_fabric`, and with those of pydantic's methods that plugins use of them.
"""

import hashlib
import json

from ef_bridge.values import encode


class Record:
    """A record: its fields are attributes, given by name. Fields that it does not know are kept."""

    required = ()
    defaults = {}
    allows_more = True

    def __init__(self, **fields):
        for name in self.required:
            if name not in fields:
                raise ValueError("%s needs the field `%s`" % (type(self).__name__, name))
        values = self.__dict__
        for name, default in self.defaults.items():
            values[name] = default.copy() if isinstance(default, (dict, list)) else default
        if not self.allows_more:
            for name in fields:
                if name not in self.required and name not in self.defaults:
                    raise ValueError("%s has no field `%s`" % (type(self).__name__, name))
        values.update(fields)

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % field for field in self.__dict__.items()))

    def model_dump(self, *, mode="python", include=None, exclude=None, exclude_none=False, **_):
        """The fields as a dict; with mode="json" as JSON can say them."""
        fields = {
            name: value.model_dump() if isinstance(value, Record) else value
            for name, value in self.__dict__.items()
            if (include is None or name in include) and name not in (exclude or ()) and not (exclude_none and value is None)
        }
        return json.loads(encode(fields)) if mode == "json" else fields

    def model_dump_json(self, *, indent=None, **options):
        """The fields as JSON text."""
        fields = self.model_dump(mode="json", **options)
        separators = (",", ":") if indent is None else None
        return json.dumps(fields, ensure_ascii=False, indent=indent, separators=separators)

    def model_copy(self, *, update=None, deep=False):
        """The same record with other values for some fields."""
        del deep
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__, **(update or {}))
        return copy

    @classmethod
    def model_validate(cls, fields):
        """A record of a dict."""
        return fields if isinstance(fields, cls) else cls(**fields)

    def _hash_of(self, *names):
        text = self.model_dump_json(include=set(names))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


class EvalItem(Record):
    """One row of the dataset."""

    required = ("item_id", "input")
    defaults = {"reference_output": None, "metadata": {}}

    def __init__(self, *, item_id, input, reference_output=None, metadata=None, **more):
        self.item_id = item_id
        self.input = input
        self.reference_output = reference_output
        self.metadata = {} if metadata is None else metadata
        if more:
            self.__dict__.update(more)

    def content_hash(self):
        """16 hexadecimal digits that change with the row's id, input and reference."""
        return self._hash_of("item_id", "input", "reference_output")


class EvaluatorOutput(Record):
    """What an evaluator made of an item."""

    required = ("output",)
    defaults = {"metadata": {}}

    def __init__(self, *, output, metadata=None, **more):
        self.output = output
        self.metadata = {} if metadata is None else metadata
        if more:
            self.__dict__.update(more)

    def content_hash(self):
        """16 hexadecimal digits that change with the output."""
        return self._hash_of("output")

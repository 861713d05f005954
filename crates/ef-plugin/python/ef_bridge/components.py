"""What a plugin's module offers: finding it, describing it, making components of it, and how they are called."""

import functools
import importlib
import inspect
import sys

from ef_bridge.failures import last_line

EVALUATOR, JUDGE = "evaluator", "judge"


class ConfigProblem(Exception):
    """The config does not fit: (pointer, message, hint) of each problem."""

    def __init__(self, problems):
        super().__init__("the config does not fit")
        self.problems = problems


class BrokenPlugin(Exception):
    """The plugin's code does not give what it should: the message is for its author."""


class Call:
    """What a component may know about a call: it is passed to a parameter named `context`."""

    __slots__ = ("attempt", "repeat", "seed", "timeout_seconds", "traceparent", "tracestate")

    def __init__(self, context):
        self.attempt = context.get("attempt", 1)
        self.repeat = context.get("repeat", 0)
        self.seed = context.get("seed", 0)
        self.timeout_seconds = context["timeout_ms"] / 1000 if "timeout_ms" in context else None
        self.traceparent = context.get("traceparent")
        self.tracestate = context.get("tracestate")


class Offer:
    """One evaluator or judge that a plugin offers, not yet made."""

    def __init__(self, kind, id, target, version=None, failure=None):
        self.kind, self.id, self.failure = kind, id, failure
        self.carrier, self.target = target, _undecorated(target)
        self.version = str(_attribute(target, "version") or version or "0")

    def described(self):
        """What `initialize` says of it."""
        said = {"id": self.id, "version": self.version}
        summary = (inspect.getdoc(self.target) or "").strip().splitlines() if _has_own_doc(self.target) else []
        if summary:
            said["summary"] = summary[0]
        schema = _attribute(self.carrier, "config_schema") or _attribute(self.target, "config_schema")
        schema = schema if isinstance(schema, dict) else _config_schema(self.kind, self.target)
        if schema is not None:
            said["config_schema"] = schema
        if self.kind == JUDGE:
            said["determinism"] = _determinism(self.carrier) or "stochastic"
        for name in ("is_costly", "model", "pricing"):
            value = _attribute(self.carrier, name)
            if isinstance(value, (bool, str, dict)):
                said[name] = value
        return said

    def create(self, config):
        """Makes the component for a config.

        Raises ConfigProblem, BrokenPlugin, or what the plugin's own code raises.
        """
        if self.failure is not None:
            raise BrokenPlugin(self.failure)
        made = _instance(self.kind, self.target, config)
        function = _undecorated(made)
        if function is made:
            function = _entry(self.kind, made)
        if not callable(function) or inspect.isclass(function):
            what = "an object with a method `judge(item, output)`" if self.kind == JUDGE else "something to call with an item"
            raise BrokenPlugin("%s gives %s, not %s" % (self.id, _kind_of_object(made), what))
        carriers = [carrier for carrier in (made, self.carrier) if _is_described(carrier)]
        said = {}
        if self.kind == JUDGE:
            said["determinism"] = next(filter(None, map(_determinism, carriers)), "stochastic")
        model = next((model for model in (_attribute(carrier, "model") for carrier in carriers) if isinstance(model, str)), None)
        if model:
            said["model"] = model
        return Component(self.kind, function), said


class Component:
    """An evaluator or judge that can be called.

    `is_async` tells whether calling it gives an awaitable at once; anything else may block its thread.
    """

    __slots__ = ("kind", "function", "arguments", "is_async", "takes_context")

    def __init__(self, kind, function):
        self.kind, self.function = kind, function
        positional, named, has_rest = _parameters(function)
        self.takes_context = "context" in named or "context" in positional
        names = [name for name in positional if name != "context"]
        if kind == EVALUATOR:
            self.arguments = "item"
        elif len(names) >= 2 or has_rest or not names:
            self.arguments = "both"
        else:
            self.arguments = "output" if names[0] == "output" else "item"
        self.is_async = _is_async(function)

    def call(self, item, output, context):
        """Calls it: what it returns may be an awaitable."""
        named = {"context": context} if self.takes_context else {}
        if self.arguments == "both":
            return self.function(item, output, **named)
        return self.function(output if self.arguments == "output" else item, **named)


def offers(options):
    """Everything that the options name: entry points and references.

    An entry point that cannot be imported is offered all the same; making it says why it does not work. A reference that
    cannot be imported raises BrokenPlugin.
    """
    found = []
    for kind, points in ((EVALUATOR, options.get("evaluators", {})), (JUDGE, options.get("judges", {}))):
        for id, reference in sorted(points.items()):
            try:
                found.append(Offer(kind, id, resolve(reference)[0], options.get("version")))
            except BrokenPlugin as problem:
                found.append(Offer(kind, id, None, options.get("version"), failure=str(problem)))
    for reference in options.get("references", []):
        found.extend(_referenced(reference))
    keys = [(offer.kind, offer.id) for offer in found]
    for kind, id in keys:
        if keys.count((kind, id)) > 1:
            raise BrokenPlugin("two %ss have the id `%s`" % (kind, id))
    return found


def resolve(reference):
    """The object, or without one the module, that `module:object` names, and its module."""
    name, _, path = reference.partition(":")
    try:
        module = target = importlib.import_module(name.strip())
        for attribute in filter(None, path.strip().split(".")):
            target = getattr(target, attribute)
    except (Exception, SystemExit) as problem:
        raise BrokenPlugin("importing `%s` failed: %s" % (reference, last_line(problem))) from problem
    return target, module


def _referenced(reference):
    target, module = resolve(reference)
    version = _attribute(module, "__version__")
    if target is not module:
        kind = _guessed_kind(target)
        name = getattr(target, "__name__", type(target).__name__)
        own = _attribute(target, "id") or "%s.%s" % (module.__name__, name)
        return [Offer(kind, own, target, version)]
    described = [value for value in vars(module).values() if _is_described(value)]
    found = {}
    for value in described:
        if inspect.isclass(value):
            # One that was imported is another module's; one that the module makes an object of itself is that object's.
            is_offer = value.__module__ == module.__name__ and not any(isinstance(other, value) for other in described)
        else:
            is_offer = callable(value) or hasattr(value, "judge")
        if is_offer:  # a module may bind an object to several names
            found[id(_undecorated(value))] = Offer(_guessed_kind(value), value.id, value, version)
    if not found:
        hint = "decorate its functions with @evaluator or @judge, or name an object as `%s:object`" % reference
        raise BrokenPlugin("the module `%s` offers neither evaluators nor judges: %s" % (reference, hint))
    return list(found.values())


def _attribute(target, name):
    try:
        value = getattr(target, name, None)
    except Exception:
        return None
    return None if inspect.isdatadescriptor(value) else value


def _is_described(value):
    return isinstance(_attribute(value, "id"), str) and isinstance(_attribute(value, "version"), str)


def _determinism(target):
    value = _attribute(target, "determinism")
    value = getattr(value, "value", value)
    return value if isinstance(value, str) else None


def _has_own_doc(target):
    return inspect.isroutine(target) or inspect.isclass(target)


def _undecorated(target):
    """What a decorator of the package `eval_fabric` was given: calling that spares its wrapping and unwrapping."""
    return target._fn if type(target).__name__ in ("_FunctionEvaluator", "_FunctionJudge") and hasattr(target, "_fn") else target


def _kind_of_object(value):
    return "None" if value is None else "an object of the type %s" % type(value).__name__


def _guessed_kind(target):
    if "Judge" in type(target).__name__ or callable(getattr(target, "judge", None)):
        return JUDGE
    if inspect.isclass(target):
        return EVALUATOR
    positional = [name for name in _parameters(_undecorated(target))[0] if name != "context"]
    return JUDGE if len(positional) >= 2 or positional == ["output"] else EVALUATOR


def _entry(kind, made):
    """The function to call of what was made."""
    for method in ("judge",) if kind == JUDGE else ("evaluate",):
        if callable(getattr(made, method, None)):
            return getattr(made, method)
    return made


def _parameters(function):
    """The names of the positional parameters, of the keyword-only ones, and whether there is `*args`."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [], [], True
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional, [p.name for p in parameters if p.kind == p.KEYWORD_ONLY], any(p.kind == p.VAR_POSITIONAL for p in parameters)


def _is_async(function):
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def _is_plain_function(target):
    return inspect.isroutine(target) or isinstance(target, functools.partial)


def _required_positional(target):
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


def _makes_components(target, config):
    """Whether a target is called with a config to get a component: a class, or a function that no item need be given to.

    A function that needs values given by position is the component itself, unless the config gives them all.
    """
    if inspect.isclass(target):
        return True
    if not _is_plain_function(target) or _is_async(target):
        return False
    required = _required_positional(target)
    if required == 0:
        positional, _, has_rest = _parameters(target)
        return not has_rest or not positional
    try:
        inspect.signature(target).bind(**config)
    except TypeError:
        return False
    return True


def _instance(kind, target, config):
    if _makes_components(target, config):
        _check_keys(target, config, is_component=False)
        return target(**config)
    if not _is_plain_function(target):
        if config:
            raise ConfigProblem([("/" + _pointer(key), "this %s takes no config" % kind, None) for key in config])
        return target
    _check_keys(target, config, is_component=True)
    return functools.partial(target, **config) if config else target


def _check_keys(target, config, is_component):
    """Raises ConfigProblem for keys that the target does not take and for those that it needs."""
    schema = _schema_of(target, is_component)
    if schema is None:
        return
    known = list(schema["properties"])
    hint = "it takes " + ", ".join("`%s`" % name for name in known) if known else "it takes no config"
    problems = [("/" + _pointer(key), "`%s` is not known" % key, hint) for key in config if key not in schema["properties"]]
    problems += [("", "`%s` is missing" % name, None) for name in schema.get("required", []) if name not in config]
    if problems:
        raise ConfigProblem(problems)


def _pointer(key):
    return key.replace("~", "~0").replace("/", "~1")


def _config_schema(kind, target):
    """The JSON Schema of a target's config where its signature tells it; None where only calling it can tell."""
    if inspect.isclass(target):
        return _schema_of(target, is_component=False)
    if not _is_plain_function(target):
        return None
    required = _required_positional(target)
    if _is_async(target) or required == (2 if kind == JUDGE else 1) and _parameters(target)[0][0] in ("item", "_item", "_"):
        return _schema_of(target, is_component=True)
    return _schema_of(target, is_component=False) if required == 0 else None


def _schema_of(target, is_component):
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_KEYWORD for p in parameters):
        return None
    kinds = {inspect.Parameter.KEYWORD_ONLY} | (set() if is_component else {inspect.Parameter.POSITIONAL_OR_KEYWORD})
    taken = [p for p in parameters if p.kind in kinds and not (is_component and p.name == "context")]
    schema = {"type": "object", "properties": {p.name: {} for p in taken}, "additionalProperties": False}
    required = [p.name for p in taken if p.default is p.empty]
    return dict(schema, required=required) if required else schema


def record_types():
    """The classes for items and outputs: those of the module `eval_fabric` that the plugin sees."""
    if "eval_fabric" not in sys.modules:
        from ef_bridge import records

        return records.EvalItem, records.EvaluatorOutput
    from eval_fabric.models import EvalItem, EvaluatorOutput

    return EvalItem, EvaluatorOutput

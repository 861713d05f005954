"""Registering by code. ef finds plugins by entry points and references; this keeps what modules register when imported."""

from eval_fabric.errors import DuplicateRegistrationError, PluginContractError

_FACTORIES = {"evaluator": {}, "judge": {}}


def _register(kind, id, factory):
    known = _FACTORIES[kind].setdefault(id, factory)
    if known is not factory:
        raise DuplicateRegistrationError("two %ss are registered as %r" % (kind, id))
    return factory


def _get(kind, id, config):
    factory = _FACTORIES[kind].get(id)
    if factory is None:
        raise PluginContractError("no %s is registered as %r; there are %s" % (kind, id, sorted(_FACTORIES[kind])))
    return factory(**(config or {})) if callable(factory) else factory


def register_evaluator(id, factory):
    """Registers a factory of evaluators, and returns it."""
    return _register("evaluator", id, factory)


def register_judge(id, factory):
    """Registers a factory of judges, and returns it."""
    return _register("judge", id, factory)


def get_evaluator(id, config=None):
    """Makes the evaluator of an id."""
    return _get("evaluator", id, config)


def get_judge(id, config=None):
    """Makes the judge of an id."""
    return _get("judge", id, config)


def reset_registry():
    """Forgets everything that was registered."""
    for factories in _FACTORIES.values():
        factories.clear()

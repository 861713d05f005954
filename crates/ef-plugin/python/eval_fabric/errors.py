"""Errors that plugins raise or catch."""


class EvalFabricError(Exception):
    """The base of them all."""


class SpecValidationError(EvalFabricError):
    """A spec is not valid."""


class DuplicateRegistrationError(EvalFabricError):
    """Two factories have the same id."""


class PluginContractError(EvalFabricError):
    """A plugin is not what it should be."""


class TraceStoreError(EvalFabricError):
    """A trace store failed."""


class TraceStoreSchemaMismatch(TraceStoreError):
    """A trace store is of another version."""


class TransientError(EvalFabricError):
    """It failed, and may work if it is tried again. `retry_after`, in seconds, may say when."""

    def __init__(self, *arguments, retry_after=None):
        super().__init__(*arguments)
        self.retry_after = retry_after


class RunAborted(EvalFabricError):
    """A run was ended early."""


class JudgeContractViolation(EvalFabricError):
    """A judge is not as deterministic as it says."""

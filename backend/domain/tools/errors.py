"""What can go wrong with a tool, in words that say what to change.

AutoWeaveError
├── ManifestInvalid     422  a `tool.toml` that is wrong, or asks for what the sandbox does not offer
├── ModuleRefused       422  bytes that are no module of the tool ABI
├── ToolUnknown         404  no such tool for this tenant
├── IntegrityViolation  500  code whose SHA-256 is not the one that was installed
└── DataCorruption      500  a stored record that cannot be read back
"""

from backend.foundation.kernel.errors import AutoWeaveError, Invalid, NotFound


class ManifestInvalid(Invalid):
    code = "manifest_invalid"
    hint = "Correct the named line of tool.toml."

    def __init__(self, message: str, *, line: int, hint: str, field: str | None = None) -> None:
        super().__init__(f"tool.toml, line {line}: {message}", hint=hint, field=field)
        self.line = line


class ModuleRefused(Invalid):
    code = "module_refused"
    hint = "Build the tool as docs/guides/tool-abi.md says."


class ToolUnknown(NotFound):
    code = "tool_unknown"
    hint = "Look at the list of installed tools for its id."


class IntegrityViolation(AutoWeaveError):
    code = "integrity_violation"
    hint = "Do not run it. Install the tool again from a source that you trust."


class DataCorruption(AutoWeaveError):
    code = "data_corruption"
    hint = "Restore the database from a backup, or install the tool again."

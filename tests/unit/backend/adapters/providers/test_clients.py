"""AGT-8: which providers an installation has."""

import subprocess
import sys

from backend.adapters.providers.client import PydanticAiClient
from backend.adapters.providers.clients import build_clients
from backend.adapters.providers.config import ProviderConfig


def test_without_settings_there_is_the_offline_model_and_a_local_ollama() -> None:
    """AGT-8."""
    assert set(build_clients()) == {"offline", "ollama"}


def test_a_key_brings_its_provider() -> None:
    """AGT-8."""
    clients = build_clients(openai_api_key="sk-1", anthropic_api_key="sk-2")
    assert set(clients) == {"offline", "openai", "anthropic", "ollama"}


def test_an_address_of_ones_own_needs_no_key() -> None:
    """AGT-8: many servers that speak OpenAI's protocol ask for none."""
    assert "openai" in build_clients(openai_base_url="http://127.0.0.1:9100/v1")


def test_ollamas_address_may_come_with_or_without_its_path() -> None:
    """AGT-8."""
    for url in ("http://host:11434", "http://host:11434/", "http://host:11434/v1"):
        client = build_clients(ollama_base_url=url)["ollama"]
        assert isinstance(client, PydanticAiClient)
        assert client.config.base_url == "http://host:11434/v1"


def test_a_configuration_does_not_show_its_key() -> None:
    """IDN-6."""
    assert "sk-secret" not in repr(ProviderConfig(name="openai", base_url="http://x", api_key="sk-secret"))


def test_building_the_clients_imports_no_provider() -> None:
    """AGT-8: 60 MB and seconds are for those who talk to one; a web process never does."""
    code = (
        "import sys; from backend.adapters.providers.clients import build_clients;"
        "build_clients(openai_api_key='sk-1', anthropic_api_key='sk-2');"
        "sys.exit(any(name in sys.modules for name in ('pydantic_ai', 'openai', 'anthropic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

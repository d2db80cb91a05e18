"""How the front end is built: its packages, its one stylesheet, and addresses that hold on any host."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reflex.plugins import Plugin
from reflex.utils.exec import is_prod_mode
from reflex_base.constants import Endpoint

import components
from autoweave_ui import theme
from components.basics.jsx import ROOT

PRERENDERED = ["/chat"]
SCRIPT_HASHES = "script-hashes.json"
"""In the folder of the build: the hashes of the pages' inline scripts, for the content security policy."""
SHEET = "styles/autoweave.css"
_ABSOLUTE = "const endpoint = new URL(url_str);"
_RELATIVE = (
    "const endpoint = new URL(url_str, globalThis.location?.href);\n"
    '  if (url_str.startsWith("/")) {\n    return endpoint;\n  }'
)
_SCALE_STEP = re.compile(rf"(--(?:{'|'.join(theme.SCALES)})-a?\d+):[^;}}]*;?")
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


class FrontendPlugin(Plugin):
    """Adds fonts, colours and the stylesheet, and makes one build work behind any address.

    Reflex bakes the address of its socket into the build. A path instead is resolved against the page's own address,
    so that host, port, proxy and TLS are those by which the page itself was reached.
    """

    def get_frontend_development_dependencies(self, **context: Any) -> Sequence[str]:
        # They hold stylesheets only: as a dependency proper they would be offered to scripts too.
        return theme.PACKAGES

    def get_stylesheet_paths(self, **context: Any) -> Sequence[str]:
        return [*theme.font_sheets(), *theme.colour_sheets(), f"./{Path(SHEET).name}"]

    def get_static_assets(self, **context: Any) -> Sequence[tuple[Path, str | bytes]]:
        return [(Path(SHEET), theme.stylesheet()), *scripts()]

    def pre_compile(self, **context: Any) -> None:
        context["add_modify_task"]("utils/state.js", accept_paths)
        context["add_modify_task"]("react-router.config.js", prerender_optional)

    def update_env_json(self, **context: Any) -> dict[str, Any] | None:
        return same_origin() if is_prod_mode() else None

    def post_build(self, **context: Any) -> None:
        static: Path = context["static_dir"]
        (static.parent / SCRIPT_HASHES).write_text(json.dumps(script_hashes(static)), encoding="utf-8")
        for sheet in static.rglob("*.css"):
            sheet.write_text(without_unused(sheet.read_text(encoding="utf-8")), encoding="utf-8")


def scripts(folder: Path = Path(components.__path__[0])) -> list[tuple[Path, str]]:
    """Return the React components that stand beside the Python, and where the build looks for them."""
    files = sorted([*folder.rglob("*.jsx"), *folder.rglob("*.js")])
    return [(ROOT / path.relative_to(folder), path.read_text(encoding="utf-8")) for path in files]


def same_origin() -> dict[str, str]:
    """Return the endpoints of Reflex as paths instead of addresses."""
    return {endpoint.name: str(endpoint) for endpoint in Endpoint}


def accept_paths(state_js: str) -> str:
    """Return Reflex's ``state.js`` so changed that an endpoint may be a path.

    Raises:
        ValueError: the line is not there, so another version of Reflex needs another change.
    """
    if _RELATIVE in state_js:
        return state_js
    if state_js.count(_ABSOLUTE) != 1:
        raise ValueError("Reflex's state.js resolves its endpoints in another way: adapt `accept_paths` to it.")
    return state_js.replace(_ABSOLUTE, _RELATIVE)


def prerender_optional(config_js: str) -> str:
    """Return React Router's settings so changed that `PRERENDERED` is built as a page too.

    Its own list leaves out every route that has a parameter, optional or not.
    """
    paths = json.dumps(PRERENDERED)
    return config_js.replace(
        '"prerender": true', f'"prerender": ({{getStaticPaths}}) => [...getStaticPaths(), ...{paths}]'
    )


def script_hashes(static: Path) -> list[str]:
    """Return the ``sha256-…`` of each inline script in the built pages, as a content security policy names them."""
    scripts = {
        match.encode()
        for page in static.rglob("*.html")
        for match in _INLINE_SCRIPT.findall(page.read_text(encoding="utf-8"))
    }
    return sorted(f"sha256-{b64encode(hashlib.sha256(script).digest()).decode()}" for script in scripts)


def without_unused(css: str) -> str:
    """Return the stylesheet without those steps of the colour scales that nothing in it uses: most of them."""
    used = set(re.findall(r"var\((--[\w-]+)", css))
    return _SCALE_STEP.sub(lambda found: found[0] if found[1] in used else "", css)

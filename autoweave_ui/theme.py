"""Every colour, size and duration of the product: the one place where they are written as literal values.

`stylesheet` turns them into CSS custom properties; the files of ``styles/`` use nothing else. Colours are the scales of
Radix Colors (https://www.radix-ui.com/colors), whose steps 11 and 12 keep a contrast of 4.5:1 on steps 1 and 2.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

SCALES = ("slate", "iris", "jade", "amber", "ruby", "blue")
"""The Radix scales in use: greys, accent, ok, attention, failed, info."""

SPACE = {1: 4, 2: 8, 3: 12, 4: 16, 5: 20, 6: 24, 8: 32, 10: 40, 12: 48, 16: 64, 24: 96}
"""Steps of 4 px, named by how many."""

TEXT = {12: 16, 13: 20, 14: 20, 16: 26, 20: 28, 28: 36}
"""Font size to line height, both in px."""

SIZES = {
    "line": 1,
    "ring": 2,
    "radius": 6,
    "radius-panel": 10,
    "control": 32,
    "touch": 40,
    "icon": 16,
    "mark": 8,
    "rail": 232,
    "rail-folded": 56,
    "bar": 48,
    "chat": 760,
    "form": 360,
    "sheet": 480,
    "dialog": 480,
    "palette": 560,
    "table": 960,
    "field-lines": 192,
    "list": 320,
    "blur": 8,
}
"""Named lengths in px."""

FIXED = ("line", "ring")
"""The lengths that stay as they are when a browser's text is made larger; all others are rendered in rem and grow."""

MEDIA = {
    "--phone": "(max-width: 47.9375em)",
    "--desk": "(min-width: 48em)",
    "--calm": "(prefers-reduced-motion: reduce)",
}
"""What ``@media (--name)`` in ``styles/`` stands for: custom properties do not work there. In em, so that larger text
gets the layout of a smaller page."""

MOTION = {"quick": "120ms", "calm": "180ms", "flash": "200ms", "pulse": "1600ms"}
EASE = "cubic-bezier(0.2, 0, 0, 1)"

BOTH = {
    "ink": "var(--slate-12)",
    "ink-soft": "var(--slate-11)",
    "hairline": "var(--slate-a5)",
    "edge": "var(--slate-9)",
    "hover": "var(--slate-a3)",
    "press": "var(--slate-a4)",
    "chosen": "var(--slate-a4)",
    "accent": "var(--iris-9)",
    "accent-hover": "var(--iris-10)",
    "accent-ink": "var(--iris-11)",
    "accent-soft": "var(--iris-a3)",
    "on-accent": "#ffffff",
    "focus": "var(--iris-10)",
    "ok": "var(--jade-9)",
    "ok-ink": "var(--jade-11)",
    "attention": "var(--amber-9)",
    "attention-ink": "var(--amber-11)",
    "attention-soft": "var(--amber-a3)",
    "failed": "var(--ruby-9)",
    "failed-hover": "var(--ruby-10)",
    "failed-ink": "var(--ruby-11)",
    "failed-soft": "var(--ruby-a3)",
    "info": "var(--blue-9)",
    "info-ink": "var(--blue-11)",
    "info-soft": "var(--blue-a3)",
}
"""What colours mean, in both themes."""

LIGHT = {
    "ground": "#ffffff",
    "rail-ground": "var(--slate-2)",
    "float": "#ffffff",
    "sunken": "var(--slate-2)",
    "soft": "var(--slate-3)",
    "field": "#ffffff",
    "scrim": "rgb(28 32 36 / 32%)",
    "shadow": "0 1px 2px rgb(0 0 0 / 6%), 0 8px 24px rgb(0 0 0 / 12%)",
    "shadow-small": "0 1px 2px rgb(0 0 0 / 6%), 0 2px 8px rgb(0 0 0 / 8%)",
}
DARK = {
    "ground": "#16171a",
    "rail-ground": "var(--slate-1)",
    "float": "var(--slate-3)",
    "sunken": "var(--slate-1)",
    "soft": "var(--slate-4)",
    "field": "var(--slate-2)",
    "scrim": "rgb(0 0 0 / 56%)",
    "shadow": "0 0 0 1px rgb(255 255 255 / 8%), 0 8px 32px rgb(0 0 0 / 48%)",
    "shadow-small": "0 0 0 1px rgb(255 255 255 / 6%), 0 2px 8px rgb(0 0 0 / 40%)",
}

SANS = '"Inter Variable", "Inter Fallback", ui-sans-serif, system-ui, sans-serif'
MONO = '"JetBrains Mono Variable", "JetBrains Mono Fallback", ui-monospace, monospace'

_FALLBACKS = """
@font-face { font-family: "Inter Fallback"; src: local("Arial"), local("Liberation Sans");
  size-adjust: 107.12%; ascent-override: 90.44%; descent-override: 22.52%; line-gap-override: 0%; }
@font-face { font-family: "JetBrains Mono Fallback"; src: local("Courier New"), local("Liberation Mono");
  size-adjust: 99.98%; ascent-override: 102.02%; descent-override: 30.01%; line-gap-override: 0%; }
"""
"""Local fonts with the metrics of the web fonts: nothing moves when these arrive."""

PACKAGES = ("@fontsource-variable/inter@5.2.8", "@fontsource-variable/jetbrains-mono@5.2.8", "@radix-ui/colors@3.0.0")
"""The npm packages behind fonts and colours."""

META_COLOURS = {"light": "#ffffff", "dark": "#16171a"}
"""What the browser paints around the page."""


def font_sheets() -> list[str]:
    """Return the packaged stylesheets of the fonts."""
    return ["@fontsource-variable/inter/wght.css", "@fontsource-variable/jetbrains-mono/wght.css"]


def colour_sheets() -> list[str]:
    """Return the packaged stylesheets of the scales in use, solid and transparent, light and dark."""
    variants = ("", "-alpha", "-dark", "-dark-alpha")
    return [f"@radix-ui/colors/{scale}{variant}.css" for scale in SCALES for variant in variants]


def stylesheet(folder: Path = Path(__file__).parent / "styles") -> str:
    """Return the whole stylesheet: the tokens, then the files of ``styles/`` by name, with media names put in."""
    rules = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.css")))
    for name, query in MEDIA.items():
        rules = rules.replace(f"@media ({name})", f"@media {query}")
    return f"{_tokens()}\n{rules}"


def _tokens() -> str:
    sizes = [f"--space-{name}: {_rem(px)}" for name, px in SPACE.items()]
    sizes += [f"--text-{px}: {_rem(px)}; --lead-{px}: {_rem(lead)}" for px, lead in TEXT.items()]
    sizes += [f"--{name}: {f'{px}px' if name in FIXED else _rem(px)}" for name, px in SIZES.items()]
    sizes += [f"--{name}: {duration}" for name, duration in MOTION.items()]
    sizes += [f"--ease: {EASE}", f"--sans: {SANS}", f"--mono: {MONO}"]
    shared = [*sizes, *_declarations(BOTH)]
    return "\n".join(
        (
            _FALLBACKS,
            _block(":root", [*shared, *_declarations(LIGHT), "color-scheme: light"]),
            # The scales switch at `.dark`, so what is made of them has to be declared there again.
            _block(".dark", [*_declarations(BOTH), *_declarations(DARK), "color-scheme: dark"]),
        )
    )


def _rem(px: int) -> str:
    return f"{px / 16:g}rem"


def _declarations(values: Mapping[str, str]) -> list[str]:
    return [f"--{name}: {value}" for name, value in values.items()]


def _block(selector: str, declarations: Iterable[str]) -> str:
    return f"{selector} {{ {'; '.join(declarations)} }}"

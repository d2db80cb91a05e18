"""The sandbox: WASM tools in worker children."""

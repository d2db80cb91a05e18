"""The one engine configuration. Whoever changes it raises `revision.ENGINE_REVISION`."""

from wasmtime import Config, Engine

_RESERVATION = 64 * 1024 * 1024
_GUARD = 64 * 1024
_GROWTH = 64 * 1024 * 1024
_STACK = 512 * 1024
_OFF = (
    "wasm_threads",
    "wasm_memory64",
    "wasm_multi_memory",
    "wasm_gc",
    "wasm_function_references",
    "wasm_exceptions",
    "wasm_relaxed_simd",
    "wasm_custom_page_sizes",
    "wasm_stack_switching",
    "wasm_wide_arithmetic",
)


def new_engine() -> Engine:
    """Return an engine that meters fuel, can be interrupted, computes the same everywhere and reserves little.

    Memories reserve no more than the usual limit of a call, so that the address space of a child can be bounded; one
    that grows beyond is copied every 64 MiB.
    """
    config = Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.parallel_compilation = False
    config.cranelift_nan_canonicalization = True
    config.memory_reservation = _RESERVATION
    config.memory_guard_size = _GUARD
    config.memory_reservation_for_growth = _GROWTH
    config.max_wasm_stack = _STACK
    # Copy-on-write images are files in memory, and a child may not write files of any kind.
    config.memory_init_cow = False
    for proposal in _OFF:
        setattr(config, proposal, False)
    return Engine(config)

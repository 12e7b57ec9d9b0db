"""The one place where weft's compiler flags are decided."""

# The runtime's thread-local is reached by one initial-exec load: a signal
# handler must never run the dynamic linker's lazy TLS allocation.
# Clash protection makes a large frame touch every page on its way, so that it
# meets the guard below a task's stack instead of jumping over it.
WEFT_COPTS = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-ftls-model=initial-exec",
    "-fno-omit-frame-pointer",
    "-fstack-clash-protection",
    "-pthread",
]

# Tests pass tables and callbacks whose parameters they do not all use.
WEFT_TEST_COPTS = WEFT_COPTS + ["-Wno-unused-parameter"]

WEFT_CXXOPTS = [
    "-std=c++17",
    "-Wall",
    "-Wextra",
    "-pthread",
]

WEFT_LINKOPTS = ["-pthread"]

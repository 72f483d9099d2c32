# What CI runs: formatting, lints, tests, documentation, rehearsals, live tests, crash tests, fuzzers.
check:
    .ci/run

# `cargo test`: all but live, crash and fuzz; a name picks some: `just test rollback`.
test *NAME:
    cargo test --locked {{NAME}}

# The live tests; names pick sections: `just live airflow`.
live *SECTION:
    tests/live/run {{SECTION}}

# Formats everything.
fmt:
    cargo fmt

# A whole deploy against the embedded world: `just rehearse --fault slack-down`.
rehearse *OPTIONS:
    cargo run --quiet -- rehearse prod {{OPTIONS}}

# Kills the real binary at a sample of places; CRASH_ALL=1 for every place, CRASH_SEED=N for a sample again.
crash:
    cargo test --locked --test crash -- --nocapture

# The benchmarks, with an optimised build.
bench *NAME:
    cargo bench --locked {{NAME}}

# So many random scenarios over a simulated world: `just simulate 100000`.
simulate SEEDS="10000":
    SIM_SEEDS={{SEEDS}} cargo test --locked --test simulation seeds::seeds -- --nocapture

"""The promises, one file for each group; `run.py` imports them all."""

from checks import (  # noqa: F401
    accounting,
    administration,
    back_pressure,
    balance,
    broken_streams,
    cancellation,
    dead_engines,
    draining,
    engines_that_refuse,
    failover,
    fidelity,
    limits,
    models,
    odd_but_right,
    origins,
    strictness,
    streaming,
    websocket,
    what_engines_keep,
)

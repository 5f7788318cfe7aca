"""The promises, one file for each group; `run.py` imports them all."""

from checks import (  # noqa: F401
    accounting,
    administration,
    back_pressure,
    broken_streams,
    cancellation,
    dead_engines,
    draining,
    failover,
    fidelity,
    limits,
    strictness,
    streaming,
    websocket,
)

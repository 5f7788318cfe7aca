"""Through the balancer as from the engine itself."""


def as_from_the_engine(ask, engine, balancer):
    """What `ask(url)` returns through the balancer, which must be what it returns from the engine without one."""
    direct, through = ask(engine.url), ask(balancer.url)
    assert through == direct, "another answer through the balancer than from the engine itself"
    return through

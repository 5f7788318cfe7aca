"""What steers the balancer, or reaches an engine past its rules, answers to people on this machine and to nobody else."""

from suite import check
from support.waiting import expect

TARGETS = [("GET", "/admin/requests"), ("POST", "/admin/servers/B/drain"), ("GET", "/upstream/A/health")]


def statuses(stage, fields):
    return {f"{method} {target}": stage.ask(method, target, fields).status for method, target in TARGETS}


def refuses_all(stage, fields):
    seen = statuses(stage, fields)
    expect(set(seen.values()) == {403}, f"{fields}: {seen}")


@check("rebound-name", "administration", needs="administration", spoils=True)
def rebound_name(stage, _):
    """A page whose name was rebound to this machine reaches neither the administration nor an engine directly: 403."""
    for name in ("evil.example", f"evil.example:{stage.port}", "localhost.evil.example", "127.0.0.1.evil.example"):
        refuses_all(stage, [("Host", name), ("Origin", f"http://{name}")])
        refuses_all(stage, [("Host", name)])
    expect(is_working(stage), "server B was drained")


@check("other-site", "administration", needs="administration", spoils=True)
def other_site(stage, _):
    """A request that a browser calls cross-site or same-site reaches neither, whatever its name: 403."""
    for site in ("cross-site", "same-site"):
        refuses_all(stage, [("Host", f"127.0.0.1:{stage.port}"), ("Sec-Fetch-Site", site)])
    expect(is_working(stage), "server B was drained")


@check("forwarded-is-not-local", "administration", needs="administration", spoils=True)
def forwarded_is_not_local(stage, _):
    """What came through another proxy on this machine is not local, whoever sent it: 403."""
    host = ("Host", f"127.0.0.1:{stage.port}")
    for field in (
        ("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=203.0.113.7"),
        ("X-Real-IP", "203.0.113.7"), ("Via", "1.1 nginx"),
    ):  # fmt: skip
        refuses_all(stage, [host, field])
    expect(is_working(stage), "server B was drained")


@check("local-administration", "administration", needs="administration", spoils=True)
def local_administration(stage, _):
    """By an address or the name localhost, with or without a browser, this machine gets in."""
    for host in (f"127.0.0.1:{stage.port}", f"localhost:{stage.port}", f"[::1]:{stage.port}", "localhost"):
        for more in ([], [("Sec-Fetch-Site", "none")], [("Sec-Fetch-Site", "same-origin"), ("Origin", f"http://{host}")]):
            seen = statuses(stage, [("Host", host), *more])
            expect(set(seen.values()) == {200}, f"{host}, {more}: {seen}")


def is_working(stage):
    backends = stage.ask("GET", "/llmhealth-snapshot").json()["backends"]
    return all(backend["state"] == "up" and not backend["draining"] for backend in backends)

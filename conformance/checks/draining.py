"""Stopping and reloading cost nobody a request."""

import threading

from suite import check
from support.client import CHAT, Connection, chat, chat_body, somebody
from support.waiting import eventually, expect


@check("stop-in-mid-stream", "draining", spoils=True)
def stop_in_mid_stream(stage, _):
    """Told to stop, it lets a running stream end and then exits with 0."""
    for engine in stage.engines:
        engine.behave(decode_tokens_per_second=20)
    with Connection(stage.port) as client:
        answer = client.ask("POST", CHAT, somebody(), chat_body(stream=True, tokens=40)).read_head()
        pieces = client.pieces(answer)
        seen = next(pieces)[1]
        stage.proxy.ask_to_stop(stage)
        seen += b"".join(part for _, part in pieces)
    expect(answer.clean and b"[DONE]" in seen, f"the stream ended with {seen[-80:]!r}")
    eventually("it exits", stage.process.has_ended, within=10)
    expect(stage.process.popen.returncode == 0, f"exit status {stage.process.popen.returncode}")


class Loop:
    """Clients that ask again and again over kept connections; a connection closed between two requests is made anew."""

    def __init__(self, port, count=4):
        self.port, self.failures, self.answered, self.refused = port, [], 0, threading.Event()
        self.enough = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        client = None
        while not self.enough.is_set():
            try:
                client = client or Connection(self.port)
            except OSError:
                self.refused.set()  # nobody listens any more
                return
            try:
                answer = client.ask("POST", CHAT, somebody(), chat_body()).read_answer()
                self.answered += 1
                if answer.status != 200 or not answer.clean:
                    self.failures.append(str(answer))
                if (answer.field("Connection") or "").lower() == "close":
                    client = None
            except OSError as error:
                self.failures.append(repr(error))
                client = None

    def end(self):
        self.enough.set()
        for thread in self.threads:
            thread.join(10)


@check("stop-under-load", "draining", alone=True, spoils=True)
def stop_under_load(stage, _):
    """Told to stop under load, it fails no request on the connections it has."""
    loop = Loop(stage.port)
    eventually("requests are answered", lambda: loop.answered, lambda n: n > 50)
    stage.proxy.ask_to_stop(stage)
    eventually("nobody listens", loop.refused.is_set, within=10)
    loop.end()
    expect(not loop.failures, f"{len(loop.failures)} of {loop.answered} failed: {loop.failures[:2]}")
    eventually("it exits", stage.process.has_ended, within=10)
    return f"0 of {loop.answered} failed"


@check("reload-under-load", "draining", needs="reload", alone=True, spoils=True)
def reload_under_load(stage, _):
    """A reload under load fails no request."""
    loop = Loop(stage.port)
    eventually("requests are answered", lambda: loop.answered, lambda n: n > 50)
    stage.proxy.change_configuration(stage)
    stage.process.signal(stage.proxy.reloads_by)
    before = loop.answered
    eventually("many more are answered", lambda: loop.answered - before, lambda n: n > 500, within=20)
    loop.end()
    expect(not loop.failures, f"{len(loop.failures)} of {loop.answered} failed: {loop.failures[:2]}")
    expect(chat(stage.port).status == 200, "it does not serve any more")
    return f"0 of {loop.answered} failed"

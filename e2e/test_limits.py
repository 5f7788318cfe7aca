"""request-max holds, the rest waits its turn, and the line has an end."""

import threading
from concurrent.futures import ThreadPoolExecutor

from support.balancer import chat_body, server
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"


class Watch:
    """Samples numbers as fast as it can while work goes on, and keeps the highest of each."""

    def __init__(self, **probes):
        self.probes, self.highest, self.samples = probes, dict.fromkeys(probes, 0), 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping.is_set():
            for name, probe in self.probes.items():
                self.highest[name] = max(self.highest[name], probe())
            self.samples += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def test_sixteen_clients_at_once_never_exceed_request_max_and_all_are_answered(start_balancer, slow_alpha, slow_beta):
    engines = {"slow-alpha": slow_alpha, "slow-beta": slow_beta}
    balancer = start_balancer({"servers": {name: server(engine, request_max=2) for name, engine in engines.items()}})

    clients = [balancer.openai(X_Session_Id=f"client-{number}") for number in range(16)]

    def ask(client):
        question = [{"role": "user", "content": "Who are you?"}]
        return client.chat.completions.with_raw_response.create(model="slow-byte", messages=question, max_tokens=30)

    probes = {name: engine.processing for name, engine in engines.items()}
    probes |= {f"{name} waiting inside": engine.deferred for name, engine in engines.items()}
    probes |= {f"{name} in flight": lambda name=name: balancer.in_flight().get(name, 0) for name in engines}
    probes |= {"waiting": balancer.waiting}
    with Watch(**probes) as watch, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, clients))

    assert all(answer.parse().usage.completion_tokens == 30 for answer in answers)
    assert watch.samples >= 5, "too few looks at the engines to say anything"
    seen = watch.highest
    for name in engines:
        assert seen[name] <= 2 and seen[f"{name} in flight"] <= 2 and seen[f"{name} waiting inside"] == 0, seen
    assert seen["slow-alpha in flight"] == seen["slow-beta in flight"] == 2, f"both servers were used to the full: {seen}"
    waited = [answer for answer in answers if int(answer.headers.get("X-Balancer-Queued-Ms", 0)) > 0]
    assert len(waited) >= 4 and seen["waiting"] >= 4, f"{len(waited)} of 16 say that they waited; {seen}"
    balancer.wait_until_idle()


def test_the_number_of_slots_is_the_limit_where_none_is_configured(start_balancer, start_llama_server):
    engine = start_llama_server("one-slot", "slow-byte", slots=1, batch=64)
    balancer = start_balancer({"servers": {"one-slot": server(engine)}})
    eventually("the slots are known", lambda: balancer.backend("one-slot")["slots"], lambda slots: slots and slots["total"] == 1)
    first = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    first.read_some()
    second = balancer.exchange(CHAT, chat_body("slow-byte"))
    eventually("the second one waits here, not in the engine", balancer.waiting, becomes(1))
    assert engine.deferred() == 0
    first.leave()
    assert second.wait_for_head().status == 200
    assert int(second.response.headers["X-Balancer-Queued-Ms"]) > 0
    second.leave()


def test_when_the_line_is_full_the_next_one_gets_429(start_balancer, slow_alpha):
    servers = {"slow": server(slow_alpha, request_max=1)}
    balancer = start_balancer({"servers": servers, "queue": {"max-waiting": 2}})
    running = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    running.read_some()
    waiting = [balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=2)) for _ in range(2)]
    eventually("two wait", balancer.waiting, becomes(2))
    refused = balancer.chat(chat_body("slow-byte"))
    assert (refused.status, refused.json()["error"]["code"]) == (429, "queue_full"), refused
    assert int(refused.headers["Retry-After"]) >= 1
    running.leave()
    assert [client.wait_for_head().status for client in waiting] == [200, 200]
    for client in waiting:
        client.leave()


def test_who_waits_longer_than_max_wait_gets_503(start_balancer, slow_alpha):
    servers = {"slow": server(slow_alpha, request_max=1)}
    balancer = start_balancer({"servers": servers, "queue": {"max-wait": "300ms"}})
    running = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    running.read_some()
    tired = balancer.chat(chat_body("slow-byte"))
    assert (tired.status, tired.json()["error"]["code"]) == (503, "queue_timeout"), tired
    assert int(tired.headers["Retry-After"]) >= 1
    running.leave()
    balancer.wait_until_idle()


def test_a_waiting_stream_is_kept_alive_by_comments(start_balancer, slow_alpha):
    servers = {"slow": server(slow_alpha, request_max=1)}
    balancer = start_balancer({"servers": servers, "keep-alive-comments": "200ms"})
    running = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    running.read_some()
    waiting = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=2, stream=True))
    assert waiting.read_some().startswith(b":"), "a comment of the event stream while nothing else is to be said"
    running.leave()
    body, clean = waiting.read_all()
    assert clean and b"data: [DONE]" in body
    waiting.leave()


def test_requests_that_compute_nothing_pass_a_full_server_at_once(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"slow": server(slow_alpha, request_max=1)}})
    running = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    running.read_some()
    answer = balancer.request("POST", "/tokenize", {"model": "slow-byte", "content": "abc"}, timeout=10)
    assert answer.json()["tokens"] == [97, 98, 99]
    running.leave()

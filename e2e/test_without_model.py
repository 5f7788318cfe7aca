"""Requests that name no model, as llama-server's own page sends them."""

from support.balancer import server
from support.waiting import eventually


def completion(text):
    return {"prompt": f"{text}: " + "x" * 200, "n_predict": 200, "stream": True}


def test_two_users_of_the_engines_own_page_compute_side_by_side(start_balancer, slow_alpha, slow_beta):
    servers = {"A": server(slow_alpha, request_max=1), "B": server(slow_beta, request_max=1)}
    balancer = start_balancer({"servers": servers})
    page = balancer.request("GET", "/props")
    assert page.status == 200 and page.headers["X-Balancer-Server"] == "A"
    streams = [balancer.exchange("/completion", completion(name), headers={"X-Session-Id": name}) for name in ("one", "two")]
    for stream in streams:
        stream.read_some()
    assert slow_alpha.processing() == 1 and slow_beta.processing() == 1, balancer.in_flight()
    for stream in streams:
        stream.leave()
    balancer.wait_until_idle()


def test_a_draining_or_dead_first_server_takes_nobody_with_it(start_balancer, alpha, start_llama_server):
    other = start_llama_server("other", alias="another-model")
    balancer = start_balancer({"servers": {"first": server(alpha), "second": server(other)}})
    assert balancer.request("GET", "/props").headers["X-Balancer-Server"] == "first"
    assert balancer.request("POST", "/admin/servers/first/drain").status == 200
    for path, body in (("/props", None), ("/completion", completion("x") | {"stream": False, "n_predict": 4})):
        answer = balancer.request("POST" if body else "GET", path, body, timeout=10)
        assert answer.status == 200 and answer.headers["X-Balancer-Server"] == "second"
    assert balancer.request("POST", "/admin/servers/first/undrain").status == 200
    assert balancer.request("GET", "/props").headers["X-Balancer-Server"] == "first"


def test_lists_are_merged_in_the_form_of_each_api(start_balancer, alpha, start_llama_server):
    other = start_llama_server("other", alias="another-model")
    balancer = start_balancer({"servers": {"A": server(alpha), "B": server(other)}, "aliases": {"gpt-4o": "tiny-byte"}})

    def listed():
        return [model["id"] for model in balancer.request("GET", "/v1/models").json()["data"]]

    eventually("both models are listed", listed, lambda seen: seen == ["another-model", "gpt-4o", "tiny-byte"])
    tags = balancer.request("GET", "/api/tags").json()["models"]
    assert [tag["name"] for tag in tags] == ["another-model", "gpt-4o", "tiny-byte"]
    answer = balancer.chat({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})
    assert answer.status == 200 and answer.headers["X-Balancer-Model"] == "tiny-byte"

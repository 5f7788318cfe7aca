"""Users of the original change over without editing anything."""

import json
import os

from support.balancer import Balancer, chat_body, server
from support.process import Process, free_port
from support.waiting import eventually


def original_file(engines, health):
    servers = {
        name: {"addr": "http://127.0.0.1/", "health-port": health.port, "model-port": engine.port, "request-max": 2}
        for name, engine in engines.items()
    }
    return {"servers": servers, "models": {"tiny-byte.*": list(servers)}, "fallback_server": list(servers)[-1]}


def start_both(start_balancer, alpha, beta, **options):
    health = start_balancer({"servers": {"alpha": server(alpha)}}, name="health")
    return health, start_balancer(original_file({"PC1": alpha, "PC2": beta}, health), **options)


def test_the_originals_file_works_with_llmhealth_served_on_another_port(start_balancer, alpha, beta):
    _, balancer = start_both(start_balancer, alpha, beta)
    assert balancer.chat(chat_body("tiny-byte")).headers["X-Balancer-Server"] == "PC1"
    assert balancer.chat(chat_body("some-other-model")).headers["X-Balancer-Server"] == "PC2", "the fallback server"


def test_llmhealth_tells_this_machines_own_load(start_balancer, alpha):
    own = start_balancer({"servers": {"alpha": server(alpha)}}).request("GET", "/llmhealth").json()
    assert set(own) == {"status", "gpu_util_max5s", "window_seconds"}
    assert own["status"] in ("idle", "busy") and own["window_seconds"] == 5 and 0 <= own["gpu_util_max5s"] <= 100


def test_a_pc_whose_llmhealth_does_not_answer_is_left_and_taken_back(
    start_balancer, start_llama_server, alpha, beta, binary, tmp_path, ending
):
    health, balancer = start_both(start_balancer, alpha, beta)
    health.kill()
    eventually("out", lambda: balancer.backend("PC1")["status"], lambda status: status == "invalid", within=8)
    again = Balancer(binary, tmp_path, {"servers": {"alpha": server(alpha)}}, port=health.port, name="health-again")
    ending.callback(again.end)
    balancer.wait_until_up("PC1", "PC2", within=10)


def test_the_snapshot_has_the_originals_keys(start_balancer, alpha, beta):
    health, balancer = start_both(start_balancer, alpha, beta)
    balancer.chat(chat_body("tiny-byte"))
    snapshot = balancer.snapshot()
    assert set(snapshot) >= {"local", "backends", "servers", "models", "sticky_count", "sticky", "now"}
    assert set(snapshot["local"]) >= {"status", "gpu_util_max5s", "window_seconds"}
    backend = snapshot["backends"][0]
    assert set(backend) >= {"base", "status", "last", "total_inflight", "model_inflight", "request_max"}
    assert backend["base"] == f"http://127.0.0.1:{health.port}"
    assert backend["status"] in ("idle", "busy") and backend["request_max"] == 2
    assert set(backend["last"]) >= {"status", "gpu_util_max5s", "updated_at", "url"}
    assert snapshot["servers"]["PC1"] == {
        "health_base": f"http://127.0.0.1:{health.port}",
        "model_base": f"http://127.0.0.1:{alpha.port}",
        "request_max": 2,
    }
    assert snapshot["models"] == {"tiny-byte.*": ["PC1", "PC2"]}
    assert snapshot["sticky_count"] == len(snapshot["sticky"]) == 1
    sticky = snapshot["sticky"][0]
    assert set(sticky) >= {"key", "ip", "model", "backend", "updated_at"}
    assert sticky["key"] == "127.0.0.1|tiny-byte" and sticky["backend"] == f"http://127.0.0.1:{alpha.port}"
    assert snapshot["now"].endswith("Z") and sticky["updated_at"].endswith("Z")


def test_access_log_stats_have_the_originals_keys(start_balancer, alpha):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    for client in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        balancer.chat(chat_body("tiny-byte", system="ユーザーの名前は「太郎」"), {"X-Forwarded-For": client})
    stats = balancer.request("GET", "/access-log-stats").json()
    assert (stats["total_requests"], stats["unique_ips"], stats["unique_models"], stats["unique_usernames"]) == (3, 2, 1, 1), (
        stats
    )
    assert stats["ip_counts"] == {"10.0.0.1": 2, "10.0.0.2": 1}
    assert stats["model_counts"] == {"tiny-byte": 3} and stats["username_counts"] == {"太郎": 3}
    assert sum(stats["time_series"].values()) == 3 and stats["retention_hours"] == 1
    assert stats["oldest_log"] <= stats["newest_log"]


def test_the_file_is_found_by_server_list_json_and_in_the_current_folder(binary, tmp_path, alpha, ending):
    for way in ("environment", "folder"):
        folder, port = tmp_path / way, free_port()
        folder.mkdir()
        file = folder / ("elsewhere.json" if way == "environment" else "server-list.json")
        file.write_text(json.dumps({"servers": {"alpha": server(alpha)}}))
        env = os.environ | ({"SERVER_LIST_JSON": str(file)} if way == "environment" else {})
        cwd = tmp_path if way == "environment" else folder
        process = Process(f"found-by-{way}", [binary, "--host", "127.0.0.1", "--port", port], cwd=cwd, env=env)
        ending.callback(process.end)
        process.wait_until_listening(port)


def test_favicon_and_health(start_balancer, alpha):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    assert balancer.request("GET", "/favicon.ico").status == 204
    health = balancer.request("GET", "/health")
    assert (health.status, health.json()) == (200, {"status": "ok"})

"""The load: chats, wrk, and what a proxy spent on them."""

import http.client
import json
import subprocess
import sys

from programs import CHAT_PATH, HERE, LOAD_CORE, connect


def note(text):
    print(text, file=sys.stderr, flush=True)


def chat_body(size, model="bench-model", model_last=False, stream=False):
    """A chat of about `size` bytes: a conversation of messages of 2 KB, as editors and agents send them."""
    text = 'The quick brown fox jumps over the lazy dog. She said \\"hello\\".\\n'
    messages, length = [], 0
    while length < size - 150:
        content = (text * 40)[: min(2000, size - 150 - length)].rpartition(" ")[0]
        role = "user" if len(messages) % 2 == 0 else "assistant"
        messages.append(f'{{"role":"{role}","content":"{content}"}}')
        length += len(messages[-1]) + 1
    fields = [f'"model":"{model}"', f'"stream":{"true" if stream else "false"}', f'"messages":[{",".join(messages)}]']
    body = "{" + ",".join(reversed(fields) if model_last else fields) + "}"
    json.loads(body)
    return body.encode()


def run_wrk(port, body_file, connections, seconds, *mode, cores=LOAD_CORE, tls=False):
    """wrk with chat.lua, which knows the modes; returns its figures."""
    command = ["taskset", "--cpu-list", cores, "wrk", "--threads", "1", "--connections", str(connections)]
    command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "30s", "--latency", "--script", str(HERE / "chat.lua")]
    command += [f"{'https' if tls else 'http'}://127.0.0.1:{port}{CHAT_PATH}", "--", str(body_file), *map(str, mode)]
    output = subprocess.run(command, capture_output=True, text=True)
    results = [line for line in output.stdout.splitlines() if line.startswith("RESULT ")]
    if not results:
        raise SystemExit(f"bench: wrk failed: {output.stdout}{output.stderr}")
    result = json.loads(results[0].removeprefix("RESULT "))
    if result["bad_statuses"] or result["errors"]:
        note(f"  ! {result['bad_statuses']} answers other than 2xx, {result['errors']} errors")
    return result


def warm_up(port, tls=False):
    """A few requests, so that memory pages are touched, connections to the engine open, and the engine's health is known."""
    connection = connect(port, tls)
    for _ in range(200):
        connection.request("POST", CHAT_PATH, chat_body(200), {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body.decode()


def cost(before, after, work):
    """Processor time for each piece of work, in microseconds: in all, in user mode, in the kernel."""
    user, system = ((later - earlier) * 1e6 / max(1, work) for earlier, later in zip(before, after))
    return {"cpu_us": user + system, "user_us": user, "system_us": system}

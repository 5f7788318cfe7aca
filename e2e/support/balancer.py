"""The program under test, as its users see it: a configuration, a port, an API."""

import json
import os
from functools import partial

import anthropic
import openai

from support.http import Exchange, request
from support.process import Process, free_port
from support.waiting import becomes, eventually


class Balancer(Process):
    """`configuration` is a dictionary in the shape of the configuration file (its `listen` is added here)."""

    def __init__(self, binary, folder, configuration=None, arguments=(), port=None, name="balancer", env=None, output=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = folder / "server-list.json"
        command = [binary, "serve", *arguments]
        if configuration is None:
            command += ["--host", "127.0.0.1", "--port", self.port]
        else:
            self.write(configuration)
            command += ["--config", self.file]
        super().__init__(name, command, cwd=folder, env=os.environ | (env or {}), output=output)

    def write(self, configuration):
        """Replaces the configuration file in one step, as editors do."""
        text = configuration
        if not isinstance(configuration, str):
            text = json.dumps({"listen": {"host": "127.0.0.1", "port": self.port}} | configuration, indent=2, ensure_ascii=False)
        draft = self.file.with_suffix(".draft")
        draft.write_text(text)
        draft.rename(self.file)

    # What it says about itself

    def snapshot(self):
        return self.request("GET", "/llmhealth-snapshot").json()

    def backend(self, name):
        backends = self.snapshot()["backends"]
        found = [backend for backend in backends if backend["name"] == name]
        assert found, f"no backend {name!r} in the snapshot, only {[backend['name'] for backend in backends]}"
        return found[0]

    def state(self, name):
        return self.backend(name)["state"]

    def in_flight(self):
        """Requests in flight by server; servers without any are left out."""
        counts = {backend["name"]: backend["total_inflight"] for backend in self.snapshot()["backends"]}
        return {name: count for name, count in counts.items() if count}

    def waiting(self):
        """How many requests wait in the balancer."""
        return self.snapshot()["waiting"]["count"]

    def wait_until_up(self, *names, within=10):
        for name in names:
            eventually(f"{name} is up", partial(self.state, name), becomes("up"), within)
        return self

    def wait_until_idle(self, within=5):
        """Nothing in flight, nothing waiting: the counts are back at zero."""
        eventually("nothing in flight", self.in_flight, lambda seen: seen == {}, within)
        eventually("nobody waiting", self.waiting, lambda seen: seen == 0, within)

    # Ways to call it

    def request(self, method, path, body=None, headers=None, timeout=60):
        return request(self.url, method, path, body, headers, timeout)

    def exchange(self, path, body, headers=None, method="POST"):
        return Exchange(self.url, method, path, body, headers)

    def chat(self, body, headers=None):
        return self.request("POST", "/v1/chat/completions", body, headers)

    def openai(self, key="unused", **headers):
        return openai.OpenAI(
            base_url=f"{self.url}/v1",
            api_key=key,
            max_retries=0,
            default_headers={k.replace("_", "-"): v for k, v in headers.items()},
        )

    def anthropic(self):
        return anthropic.Anthropic(base_url=self.url, api_key="unused", max_retries=0)


def chat_body(model, text="Say something.", max_tokens=16, stream=False, system=None, **more):
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    return {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": stream} | more


def server(engine, **settings):
    """A server of the configuration in the short form."""
    return {"url": engine.url} | {key.replace("_", "-"): value for key, value in settings.items()}

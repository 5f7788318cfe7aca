"""The engines behind the balancer: real llama-servers, the project's own fake, and one that only records."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.http import request
from support.process import Process, free_port
from support.waiting import eventually

HERE = Path(__file__).resolve().parent.parent
MODELS = HERE.parent / ".models"
PYTHON = HERE.parent / ".venv-e2e" / "bin" / "python"  # has llama-server, also where the tests run with another one


class LlamaServer(Process):
    """llama.cpp's own server. `model` is a file in .models; it calls itself by the same name unless `alias` says otherwise."""

    def __init__(self, name, model="tiny-byte", port=None, alias=None, slots=4, context=16384, **options):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.model = alias or model
        self.api_key = options.get("api_key")
        command = [PYTHON, HERE / "llama_server.py", MODELS / f"{model}.gguf", "--port", self.port]
        command += ["--alias", self.model, "--slots", slots, "--context", context]
        for option, value in options.items():
            command += [f"--{option.replace('_', '-')}"] + ([] if value is True else [value])
        super().__init__(name, command)

    def wait_until_ready(self, within=30):
        def health():
            self.must_be_running()
            return request(self.url, "GET", "/health").status

        eventually(f"{self.name} is ready", health, lambda status: status == 200, within)
        return self

    def slots(self):
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return request(self.url, "GET", "/slots", headers=headers).json()

    def processing(self):
        """How many slots are computing right now."""
        return sum(slot["is_processing"] for slot in self.slots())

    def deferred(self):
        """How many requests wait inside the engine."""
        text = request(self.url, "GET", "/metrics").body.decode()
        (value,) = [line.split()[-1] for line in text.splitlines() if line.startswith("llamacpp:requests_deferred ")]
        return int(float(value))


class FakeLlama(Process):
    """The project's own fake engine, for what one llama-server cannot do: several models, chosen speeds, Ollama's API."""

    def __init__(self, binary, name, models, slots=4, prefill_speed=100_000, decode_speed=1_000, kind="llama-server"):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [binary, "--port", self.port, "--models", ",".join(models), "--slots", slots, "--kind", kind, "--name", name]
        super().__init__(name, command + ["--prefill-speed", prefill_speed, "--decode-speed", decode_speed])

    def wait_until_ready(self):
        self.wait_until_listening(self.port)
        return self


class Recorder:
    """An OpenAI-like engine that keeps every POST and DELETE, and every GET for what it made (r-1), exactly as it came, and gives
    a fixed answer, byte for byte."""

    ANSWER = b'{ "id":"r-1",\t"choices":[{"index":0,"message":{"role":"assistant","content":"caf\\u00e9"}}] }\n'

    def __init__(self, models=("recorded",)):
        self.requests = []  # (path, headers, body)
        self.gate = threading.Event()  # while cleared, answers are held back
        self.gate.set()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if "/r-1" in self.path:
                    return self.do_POST()
                listed = self.path == "/v1/models"
                data = [{"id": model, "object": "model", "owned_by": "recorder"} for model in models]
                self.answer(200 if listed else 404, json.dumps({"object": "list", "data": data} if listed else {}).encode())

            def do_POST(self):
                body = self.read_body()
                recorder.requests.append((self.path, self.headers, body))
                recorder.gate.wait()
                self.answer(200, Recorder.ANSWER)

            do_DELETE = do_POST

            def read_body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Engine-Says", "hello")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

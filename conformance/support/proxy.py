"""What every proxy under test has; each kind is a class in `proxies.py` or `peers.py`."""

import re
import shutil
import signal
import subprocess
from itertools import cycle
from pathlib import Path

from support.client import chat
from support.process import Process, free_port
from support.waiting import eventually


def said_by(*command, pattern=r"\d+\.\d+(\.\d+)*"):
    """The version in what a command says."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    found = re.search(pattern, result.stdout + result.stderr)
    return found[0] if found else "of unknown version"


class Proxy:
    """A feature is True, or a text that says why checks that need it do not apply. Settings of checks: `request_max` (requests at once
    for each engine), `keep_alive` (pause of signs of life), `limits_body` (largest body), `limits_connections` (clients at once),
    `many_models` (each engine has another model); whoever has no such thing ignores them. `open_files` is the hard
    limit of descriptors that the program is started with."""

    name = "?"
    program = ""
    version_words = ["--version"]
    environment = {}
    passes_any_path = True
    passes_fields = True
    queue = "has no waiting line for each engine that lets clients wait"
    keep_alive_comments = "does not speak inside streams"
    body_limit = "has no limit for bodies, or only by collecting them whole"
    reload = "is not reloaded by a signal"
    administration = "has no administration on the port of its clients"
    connection_limit = "was not given a limit of connections"
    few_descriptors = "was not played with few descriptors"
    model_lists = "does not learn from engines which models they have"
    ownership = "does not remember which engine made what"
    constant_prompts = "does not look into prompts"
    early_streams = "does not begin a stream before its engine does"
    own_page = None  # the target of a large answer of its own
    stops_gracefully_by = signal.SIGTERM
    reloads_by = signal.SIGHUP
    in_flight = None  # or a method: (in flight, waiting) of a stage, where the proxy tells

    def __init__(self, binary=None):
        self.binary = str(Path(binary).absolute()) if binary else shutil.which(self.program)
        if not self.binary or not Path(self.binary).exists():
            raise SystemExit(f"{self.name}: no program {binary or self.program}; install it, or name it with --binary")

    def version(self):
        return said_by(self.binary, *self.version_words)

    def command(self, folder, port, engine_ports, settings):
        """Writes the configuration into the folder and returns the words of the command."""
        raise NotImplementedError

    def start(self, folder, engine_ports, settings):
        port = free_port()
        command = self.command(folder, port, engine_ports, settings)
        process = Process(self.name, command, folder, self.environment, settings.get("open_files"))
        process.wait_until_listening(port)
        return process, port

    def wait_until_ready(self, stage):
        in_a_row, models = [], cycle(engine.model for engine in stage.engines)

        def answers():
            in_a_row.append(chat(stage.port, timeout=3, model=next(models)).status)
            return in_a_row[-4:], [engine.asked() for engine in stage.engines]

        eventually("chats are answered, by every engine", answers, lambda seen: seen[0] == [200] * 4 and all(seen[1]), within=30)

    def ask_to_stop(self, stage):
        """To stop gracefully, in its own way."""
        stage.process.signal(self.stops_gracefully_by)

    def change_configuration(self, stage):
        """Something harmless in the file, so that a reload has something to do."""

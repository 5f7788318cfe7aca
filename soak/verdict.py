"""Judges how each request ended: held, or a violation with its details."""

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from faults import GRACE
from forms import whole_problem

ERRORS = {429, 502, 503, 504}
TOLD_TO_WAIT = 429
SHOWN = 50  # violations told in detail
OUTAGE_GRACE = 10.0  # all servers of a request out: trials come at growing intervals


@dataclass
class Ending:
    """One request's end, as the client saw it."""

    asked: object
    answer: object
    begin: float
    end: float = field(default_factory=time.monotonic)
    remark: str = ""  # what the client noticed beside the answer


class Judge:
    def __init__(self, ledger):
        self.ledger = ledger
        self.held = 0
        self.violations = []
        self.outcomes = defaultdict(Counter)  # by kind
        self.reasons = Counter()  # visible failures by their kind
        self.first_bytes = []  # seconds, of streams in calm moments
        self.judged = {}  # id: status, or 0 where none has to be in the access log
        self.left = Counter()  # clients that left, by where
        self.gone = set()  # their ids: these may be in the access log, or not

    def take(self, ending):
        """Decides, counts, and keeps nothing but the numbers."""
        asked, answer = ending.asked, ending.answer
        outcome, problem = self.verdict(ending)
        # A stream that began with signs of life and then failed is logged with the status of the failure.
        self.judged[asked.id] = 0 if "in-band" in outcome else answer.status
        self.outcomes[asked.kind][outcome] += 1
        if problem:
            self.violate(asked.kind, problem, ending)
            return
        self.held += 1
        if outcome == "whole" and asked.form.endswith("stream") and answer.first_byte_at and asked.kind != "slow reader":
            if self.ledger.is_calm(ending.begin, ending.end):
                self.first_bytes.append(answer.first_byte_at - ending.begin)

    def leave(self, id, where):
        self.left[where] += 1
        self.gone.add(id)

    def violate(self, kind, problem, ending=None):
        text = f"{kind}: {problem}"
        if ending:
            asked, answer, zero = ending.asked, ending.answer, self.ledger.zero
            faults = self.ledger.text(self.ledger.during(ending.begin, ending.end, grace=10))
            text += (
                f"\n    id {asked.id}, {asked.path}, model {asked.model}, {ending.begin - zero:.2f}–{ending.end - zero:.2f} s, "
                f"fault asked for: {asked.fault or 'none'}\n    status {answer.status}, ending {answer.ending!r}, "
                f"{answer.framing}, server {answer.headers.get('x-balancer-server')}, "
                f"attempts {answer.headers.get('x-balancer-attempts', 1)}, "
                f"{len(answer.body)} bytes: …{bytes(answer.body[-160:])!r}"
                f"\n    faults around it: {faults}"
            )
        self.violations.append(text)
        if len(self.violations) <= SHOWN:
            print(f"VIOLATION {text}", flush=True)

    def verdict(self, ending):
        """(outcome, problem or None)"""
        asked, answer = ending.asked, ending.answer
        if ending.remark:
            return "violation", ending.remark
        if answer.status and answer.repeated and {"content-length", "x-request-id"} & set(answer.repeated):
            return "violation", f"header fields twice: {answer.repeated}"
        if answer.status and asked.id and asked.must != "refused" and answer.headers.get("x-request-id") != asked.id:
            return "violation", f"the answer belongs to {answer.headers.get('x-request-id')!r}"
        if answer.ending.startswith("malformed"):
            return "violation", answer.ending
        if asked.must == "refused":
            return self.refusal(asked, answer)
        if answer.status == 200:
            return self.success(ending)
        if not answer.status:
            return self.failure(ending, f"connection {answer.ending}")
        if answer.status not in ERRORS:
            return "violation", f"status {answer.status}"
        if answer.ending != "whole":
            return self.failure(ending, f"{answer.status}, cut")
        if not is_error(asked.api, answer.body):
            return "violation", f"the {answer.status} is not in the form of {asked.api}"
        if answer.status == TOLD_TO_WAIT:
            return "violation", "429, though the line is long enough for all"
        return self.failure(ending, str(answer.status))

    def success(self, ending):
        asked, answer = ending.asked, ending.answer
        if answer.ending == "whole" and answer.framing != "until-close":
            problem = whole_problem(asked, answer)
        elif answer.ending == "whole":  # HTTP/1.0: the end is the connection's, so the body alone can tell
            problem = whole_problem(asked, answer)
            if problem and last_error(asked.api, answer.body):
                return self.failure(ending, "in-band error")
        else:
            told = last_error(asked.api, answer.body)
            tells = asked.form.endswith("stream") and answer.framing != "length" and answer.ending == "cut"
            if tells and not told:
                return "violation", "a stream was cut without an error event"
            return self.failure(ending, "in-band error" if told else f"200, {answer.ending}")
        if problem:
            return "violation", f"it ended cleanly, but {problem}"
        if asked.must == "fail":
            return "violation", f"answered, in spite of {asked.fault}"
        return "whole", None

    def failure(self, ending, outcome):
        """A visible failure needs a reason."""
        asked, answer = ending.asked, ending.answer
        self.reasons[outcome] += 1
        if asked.must == "fail":
            return f"failed: {outcome}", None
        if b"no_server_available" in answer.body or b"No server for this request" in answer.body:
            spared = [
                name for name in asked.engines
                if not self.ledger.during(ending.begin, ending.end, OUTAGE_GRACE, name)
            ]  # fmt: skip
            if spared:
                return "violation", f"no server available, though {' and '.join(spared)} had no fault"
        # The servers that it names are to blame: in a header, or in the words of an error. Without any, whoever had a fault.
        words = answer.headers.get("x-balancer-server", "").encode() + answer.body[-600:]
        blamed = [name for name in asked.engines if name.encode() in words] or asked.engines
        if not any(self.ledger.during(ending.begin, ending.end, GRACE, name) for name in blamed):
            return "violation", f"{outcome} without a reason: {' and '.join(blamed)} had no fault"
        return f"failed: {outcome}", None

    def refusal(self, asked, answer):
        if answer.status != 400 or answer.ending != "whole" or not is_error(asked.api, answer.body):
            return "violation", f"400 was expected for {asked.model}"
        return "refused", None


def is_error(api, body):
    try:
        document = json.loads(body)
        if "fault status=" in str(document["error"]):
            return True  # an engine's own error goes through as it is
        if api == "ollama":
            return isinstance(document["error"], str)
        message = document["error"]["message"]
        return bool(message) and (document["type"] == "error" if api == "anthropic" else bool(document["error"]["code"]))
    except (ValueError, KeyError, TypeError):
        return False


def last_error(api, body):
    """Whether the last event of a stream is an error in its API's form."""
    try:
        if api == "ollama":
            return is_error(api, bytes(body).rstrip(b"\n").rsplit(b"\n", 1)[-1])
        block = bytes(body).rstrip(b"\n").rsplit(b"\n\n", 1)[-1].decode()
    except UnicodeDecodeError:
        return False
    data = [line[5:] for line in block.split("\n") if line.startswith("data:")]
    named = api != "anthropic" or block.startswith("event: error")
    return len(data) == 1 and named and is_error(api, data[0])

"""One machine, asked directly: does it take the time that theory says? The way there and back is in TOLERANCE."""

import asyncio
import tempfile
from pathlib import Path

from routing_player import Player
from routing_run import ask_fleet, start_fleet, take_precedence
from routing_workloads import answer, message

SPEED = 2000
TOKEN = 30 / SPEED  # seconds; a generated token costs as much as 30 of a prompt
TOLERANCE = 0.3  # virtual seconds: 10 ms of real time, thirty times as fast as life
MARKS = 2  # tokens: the role of the only message, and of the answer
LAST_MARK = 1  # of them, the one that is new in a slot whose prompt began with the same role


class Check:
    def __init__(self, player):
        self.player, self.failed = player, 0

    def expect(self, name, is_right, told):
        self.failed += not is_right
        print(f"{'ok    ' if is_right else 'FAILED'} {name}: {told}")

    async def chat(self, name, messages, tokens, new_tokens, tolerance=TOLERANCE, stream=True):
        """Asks, and compares with a prompt of which so many tokens are new; returns the answer's text."""
        text = await self.player.chat("check", "127.0.0.1", messages, tokens, stream=stream)
        record, end = self.player.records[-1], new_tokens / SPEED + (tokens - 1) * TOKEN
        first = new_tokens / SPEED if stream else end
        if record.problem:
            self.expect(name, False, record.problem)
            return ""
        is_right = (
            -0.01 < record.first - first < tolerance
            and -0.01 < record.total - end < tolerance + 0.02 * end
            and record.prompt - record.cached == new_tokens
            and record.tokens == tokens
            and len(text) == 4 * tokens
        )
        told = f"first token after {record.first:.3f} s (theory {first:.3f}), the last after {record.total:.3f} s ({end:.3f}), "
        self.expect(name, is_right, told + f"{record.cached} of {record.prompt} prompt tokens cached")
        return text


def user(key, tokens):
    return message("user", key, tokens)


async def several_at_once(check, player):
    await asyncio.gather(*(player.chat("check", "127.0.0.1", [user(f"pair-{n}", 8000)], 100) for n in range(2)))
    firsts = sorted(record.first for record in player.records[-2:])
    is_right = 4 < firsts[0] < 6.3 and 8 < firsts[1] < 8.6
    check.expect("two prompts of 8,000 at once, the first slot's first", is_right, f"{firsts[0]:.2f} s and {firsts[1]:.2f} s")
    began = player.now()
    await asyncio.gather(*(player.chat("check", "127.0.0.1", [user(f"six-{n}", 2000)], 100) for n in range(6)))
    took, least = player.now() - began, 6 * (2000 + MARKS) / SPEED + 3 * 99 * TOKEN
    check.expect("six on two slots, none lost", least - 1 < took < 1.3 * least + 1, f"{took:.2f} s (theory about {least:.2f})")


async def client_that_leaves(check, player, fleet):
    gone = asyncio.create_task(player.chat("check", "127.0.0.1", [user("gone", 40_000)], 100))
    await player.sleep(3)
    gone.cancel()
    await player.sleep(1.5)
    name, tolerance = "after a client left while its prompt was read", 1.1 + TOLERANCE  # its last batch may still run
    await check.chat(name, [user("next", 2000)], 10, 2000 + LAST_MARK, tolerance)
    cancelled = ask_fleet(fleet, "GET", "/fleet")["machines"][0]["cancelled"]
    check.expect("the client that left was noticed", cancelled == 1, f"{cancelled} cancelled")


async def check_machine(fleet, port, scale):
    player = Player(port, scale, float("inf"))
    player.start()
    check = Check(player)
    first = [user("a", 20_000)]
    text = await check.chat("a new prompt", first, 200, 20_000 + MARKS)
    first += [answer(text), user("b", 1000)]
    text = await check.chat("the same conversation goes on", first, 100, 1000 + MARKS)
    await check.chat("another one, in the other slot", [user("c", 10_000)], 50, 10_000 + MARKS)
    await check.chat("a third, in the place of the oldest", [user("d", 10_000)], 50, 10_000 + LAST_MARK)
    first += [answer(text), user("e", 512)]
    await check.chat("the first again, from the host cache", first, 100, 512 + MARKS)
    await check.chat("no stream", [user("f", 4000)], 20, 4000 + LAST_MARK, stream=False)
    await several_at_once(check, player)
    await client_that_leaves(check, player, fleet)
    return check.failed


def main(fleet_binary, scale):
    with tempfile.TemporaryDirectory(prefix="llama-balancer-routing-") as name:
        fleet, [port] = start_fleet(fleet_binary, [SPEED], scale, Path(name))
        with fleet:
            take_precedence(fleet)
            failed = asyncio.run(check_machine(fleet, port, scale))
    if failed:
        raise SystemExit(f"bench-routing: {failed} checks failed")
    print("all as theory says")

"""Eight scripted conversations for real engines, whose tokens are bytes: what they say and when follows from the seed."""

import asyncio
import json
import random

from routing_workloads import LETTERS

CONVERSATIONS = 8
SHARING = 4  # so many of them begin with the same system prompt, as agents of one program do; the others have their own
TURNS = 6
SYSTEM, FIRST, LATER = (1800, 2600), (500, 1500), (150, 600)  # bytes of the messages
ANSWER = (24, 64)  # tokens
THINKING = 2.0  # mean seconds between an answer and the next question
LONGEST_PAUSE = 8.0
BEGINNING = 6.0  # seconds in which all conversations begin


def text(generator, between):
    """Random letters: no two messages have more in common than chance."""
    return generator.randbytes(generator.randint(*between)).translate(LETTERS).decode()


def message(role, content):
    return json.dumps({"role": role, "content": content}).encode()


async def conversation(player, seed, number):
    """Returns the seconds at which it ended."""
    system = text(random.Random(f"{seed}/system/{max(number, SHARING - 1)}"), SYSTEM)
    generator = random.Random(f"{seed}/{number}")
    messages = [message("system", system)]
    await player.sleep(generator.random() * BEGINNING)
    for turn in range(TURNS):
        messages.append(message("user", text(generator, LATER if turn else FIRST)))
        tokens, pause = generator.randint(*ANSWER), min(LONGEST_PAUSE, generator.expovariate(1 / THINKING))
        answer = await player.chat("turn", f"127.0.{seed}.{10 + number}", messages, tokens, conversation=str(number))
        if answer is None:
            return player.now()
        messages.append(message("assistant", answer))
        await player.sleep(pause)
    return player.now()


async def conversations(player, seed):
    return max(await asyncio.gather(*(conversation(player, seed, number) for number in range(CONVERSATIONS))))

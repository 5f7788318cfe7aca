"""Fleets, and workloads that follow from their seed. Times are virtual seconds, lengths are tokens of four bytes."""

import asyncio
import random
import zlib

SYSTEM = 6000  # shared by all agents, or by all documents: tools, instructions
LONGEST = 110_000  # a conversation that is longer ends

# Prompt tokens a second of each machine; all have two slots and 300,000 tokens of host prompt cache.
FLEETS = {
    "equal4": [2000] * 4,
    "unequal4": [4000, 2500, 1500, 800],
    "unequal4-slow-first": [800, 1500, 2500, 4000],
    "home2": [3000, 700],
}
SLOTS = 2
# Agents, documents a second, and for `mixed` agents and the jobs of each batch: an ideal placement is busy 60 to 70 %.
LOADS = {
    "equal4": (8, 1.65, 5, 6),
    "unequal4": (6, 1.8, 4, 6),
    "unequal4-slow-first": (6, 1.8, 4, 6),
    "home2": (3, 0.75, 2, 3),
}
BATCH_PAUSE = 120  # between the batches of bulk jobs
BULK_PROMPT, BULK_ANSWER = 30_000, 200

WORDS = 2_000_000
LETTERS = bytes(ord("a") + byte % 26 for byte in range(256))


def pool_of_words():
    pool = bytearray(random.Random(20261128).randbytes(4 * WORDS).translate(LETTERS))
    pool[3::4] = b" " * WORDS
    return bytes(pool)


POOL = pool_of_words()


def message(role, key, tokens):
    """A message with text that only its key decides, as JSON."""
    number = zlib.crc32(key.encode())
    start = 4 * (number % (WORDS - 200_000))
    text = (b"%010d: " % number + POOL[start : start + 4 * tokens])[: 4 * max(1, tokens)]
    return b'{"role":"%s","content":"%s"}' % (role.encode(), text)


def answer(text):
    return b'{"role":"assistant","content":"%s"}' % text.encode()


def length(generator, mean, deviation, least, most):
    return min(most, max(least, int(generator.lognormvariate(mean, deviation))))


async def agent(player, seed, number, address, names_itself):
    """Sends its grown conversation again after each tool call and waits for the answer, like the simulation's AgentsWorkload."""
    generator = random.Random(f"{seed}/{number}")
    system = message("system", "agent-system", SYSTEM)
    conversation = 0
    await player.sleep(generator.random() * 20)
    while player.goes_on():
        conversation += 1
        name = f"{seed}-{number}-{conversation}"
        size = generator.randint(8000, 60_000 if conversation == 1 else 20_000)
        messages = [system, message("user", name, size - SYSTEM)]
        for turn in range(max(3, int(generator.expovariate(1 / 30)))):
            tokens, result = length(generator, 5.0, 0.9, 20, 2000), length(generator, 6.3, 1.1, 10, 8000)
            pause, text, since = generator.expovariate(1 / 8), None, player.now()
            while text is None:  # after a failure the same again
                if not player.goes_on():
                    return
                text = await player.chat("agent", address, messages, tokens, names_itself and name, name, since)
                if text is None:
                    await player.sleep(2)
            messages += [answer(text), message("user", f"{name}/{turn}", result)]
            size += tokens + result
            if size > LONGEST:
                break
            await player.sleep(pause)
        await player.sleep(generator.expovariate(1 / 60))


async def agents(player, load, seed, count=None, one_address=False, name_themselves=False):
    addresses = [f"127.0.{seed}.{1 if one_address else 10 + number}" for number in range(count or load[0])]
    await asyncio.gather(
        *(agent(player, seed, number, address, name_themselves) for number, address in enumerate(addresses))
    )


async def documents(player, load, seed):
    """Questions about documents, by chance: a long prompt that all share, and a short question."""
    generator, system, tasks = random.Random(f"documents-{seed}"), message("system", "documents-system", SYSTEM), []
    moment = generator.expovariate(load[1])
    while moment < player.until:
        question = message("user", f"question-{seed}-{len(tasks)}", generator.randint(50, 400))
        address, tokens = f"127.0.{seed}.{10 + generator.randrange(16)}", length(generator, 5.0, 0.6, 5, 800)
        await player.sleep_until(moment)
        tasks.append(asyncio.create_task(player.chat("document", address, [system, question], tokens)))
        moment += generator.expovariate(load[1])
    await asyncio.gather(*tasks)


async def batches(player, load, seed):
    """One client that sends many long prompts at once, again and again."""
    batch = 0
    while player.goes_on():
        await player.sleep_until(20 + BATCH_PAUSE * batch)
        jobs = ([message("user", f"bulk-{seed}-{batch}-{job}", BULK_PROMPT)] for job in range(load[3]))
        await asyncio.gather(*(player.chat("bulk job", f"127.0.{seed}.9", job, BULK_ANSWER) for job in jobs))
        batch += 1


async def mixed(player, load, seed):
    await asyncio.gather(agents(player, load, seed, count=load[2]), batches(player, load, seed))


WORKLOADS = {
    "agents": agents,
    "agents-one-address": lambda *arguments: agents(*arguments, one_address=True),
    "agents-named": lambda *arguments: agents(*arguments, one_address=True, name_themselves=True),
    "documents": documents,
    "mixed": mixed,
}

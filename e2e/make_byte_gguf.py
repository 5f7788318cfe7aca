#!/usr/bin/env python3
"""Makes a llama model of random weights whose tokens are bytes, for tests in front of a real llama-server.

One token is one byte of the prompt, so that prompt lengths and cache hits can be counted by hand; answers are readable ASCII
of exactly `max_tokens` tokens. The default size (240 KB) reads about 60,000 tokens a second on one core; more layers and width
make slower engines.

    make_byte_gguf.py OUT.gguf [--layers 2] [--width 64] [--heads 2] [--feed-forward 128] [--context 32768]
"""

import argparse
import os

import numpy
from gguf import GGUFWriter, TokenType

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
ANSWER_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ., "
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_names():
    """GPT-2's table: the printable character that stands for each of the 256 bytes in a vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    names = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [names[byte] for byte in range(256)]


def write_vocabulary(writer):
    # The loader wants at least one merge, hence the one token of two bytes.
    tokens = byte_names() + [END_OF_TEXT, TURN_START, TURN_END, "th"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL] * 256 + [TokenType.CONTROL] * 3 + [TokenType.NORMAL])
    writer.add_token_merges(["t h"])
    writer.add_pad_token_id(tokens.index(END_OF_TEXT))
    writer.add_bos_token_id(tokens.index(TURN_START))
    writer.add_eos_token_id(tokens.index(TURN_END))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    return len(tokens)


def write_model(path, layers, width, heads, feed_forward, context):
    writer = GGUFWriter(path, "llama")
    random = numpy.random.default_rng(7)

    def add_random(name, *shape, scale=0.05):
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(numpy.float16))

    def add_ones(name):
        writer.add_tensor(name, numpy.ones(width, numpy.float32))

    writer.add_name("byte-random")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(0)
    vocabulary = write_vocabulary(writer)

    # Only these rows differ from zero, so that sampling yields readable text and never the end of the turn.
    output = numpy.zeros((vocabulary, width))
    for byte in ANSWER_BYTES:
        output[byte] = random.standard_normal(width) * 0.3
    writer.add_tensor("output.weight", output.astype(numpy.float16))
    add_random("token_embd.weight", vocabulary, width, scale=0.5)
    add_ones("output_norm.weight")
    for layer in range(layers):
        block = f"blk.{layer}"
        add_ones(f"{block}.attn_norm.weight")
        add_ones(f"{block}.ffn_norm.weight")
        for part in ("q", "k", "v", "output"):
            add_random(f"{block}.attn_{part}.weight", width, width)
        add_random(f"{block}.ffn_gate.weight", feed_forward, width)
        add_random(f"{block}.ffn_up.weight", feed_forward, width)
        add_random(f"{block}.ffn_down.weight", width, feed_forward)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--feed-forward", type=int, default=128)
    parser.add_argument("--context", type=int, default=32768)
    arguments = vars(parser.parse_args())
    out = arguments.pop("out")
    write_model(out + ".part", **arguments)
    os.replace(out + ".part", out)  # never half a model under its final name


if __name__ == "__main__":
    main()

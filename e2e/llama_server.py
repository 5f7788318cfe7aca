#!/usr/bin/env python3
"""llama.cpp's own HTTP server (from the xllamacpp wheel) as a process of its own, on loopback. Needs no compiler.

llama_server.py MODEL.gguf --port 8081 --slots 4 --context 8192 --alias m [--api-key K] [--embeddings]
"""

import argparse
import os
import signal

import xllamacpp


def parameters(arguments):
    result = xllamacpp.CommonParams()
    result.model.path = arguments.model
    result.hostnames = ["127.0.0.1"]
    result.port = arguments.port
    result.n_parallel = arguments.slots
    result.n_ctx = arguments.context
    result.kv_unified = arguments.unified
    result.cpuparams.n_threads = result.cpuparams_batch.n_threads = arguments.threads
    if arguments.batch:
        result.n_batch = result.n_ubatch = arguments.batch
    result.endpoint_metrics = result.endpoint_slots = True
    if arguments.alias:
        result.model_alias = [arguments.alias]
    result.api_keys = arguments.api_key
    if arguments.embeddings:
        result.embedding = True
        result.pooling_type = (
            xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        )  # one vector a text, as the OpenAI API wants it
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--unified", action="store_true", help="slots share their memory, as llama-server has it without -np")
    parser.add_argument("--context", type=int, default=8192, help="tokens, all slots together")
    parser.add_argument(
        "--batch", type=int, help="tokens of a prompt read in one go; between two batches a closed connection is noticed"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alias", help="the model's name on the API")
    parser.add_argument("--api-key", action="append", default=[])
    parser.add_argument("--embeddings", action="store_true")
    arguments = parser.parse_args()

    # Before the server starts its threads, so that all of them leave the signals to sigwait below.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    server = xllamacpp.Server(parameters(arguments))
    print("listening on", server.listening_address, flush=True)
    signal.sigwait(stop)
    os._exit(0)  # the wheel's own clean-up would wait for open connections


if __name__ == "__main__":
    main()

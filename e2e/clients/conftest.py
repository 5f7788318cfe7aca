"""Fixtures for further clients: an engine with OpenAI's and Anthropic's API, one with Ollama's, and the balancer."""

import pytest

from support.balancer import server


@pytest.fixture
def ollama(start_fake):
    """The project's fake engine as an Ollama, because llama-server does not have Ollama's API."""
    return start_fake("ollama", ["llama3.2:latest", "qwen3:0.6b"], kind="ollama")


@pytest.fixture
def engines(alpha, ollama):
    """By the model that a test asks for."""
    return {"tiny-byte": alpha, "llama3.2:latest": ollama}


@pytest.fixture
def balancer(start_balancer, alpha, ollama):
    return start_balancer({"servers": {"alpha": server(alpha), "ollama": server(ollama)}, "fallback_server": None})

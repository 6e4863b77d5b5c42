from __future__ import annotations

from symphony.sandbox import LayerState, probe
from symphony.sandbox._policy import clean_environment


def test_only_harmless_variables_are_passed_on() -> None:
    host = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "OPENAI_API_KEY": "sk-1",
        "SYMPHONY_SECRET_X": "s",
        "PYTHONPATH": "/evil",
        "LCX": "no",
        "HTTPS_PROXY": "http://user:password@proxy",
    }
    assert clean_environment(host, {}) == {"PATH": "/bin", "LC_ALL": "C"}


def test_what_the_caller_adds_wins() -> None:
    assert clean_environment({"PATH": "/bin"}, {"PATH": "/own", "MORE": "1"}) == {
        "PATH": "/own",
        "MORE": "1",
    }


def test_every_layer_that_is_not_whole_says_why() -> None:
    layers = probe().layers
    assert len({layer.name for layer in layers}) == len(layers)
    for layer in layers:
        assert bool(layer.reason) == (layer.state is not LayerState.ENFORCED)


def test_nothing_is_claimed_that_is_not_there() -> None:
    absent = {layer.name for layer in probe().layers if layer.state is LayerState.ABSENT}
    assert absent == {"files", "network", "system calls", "memory and processor"}

"""The options of `batch`."""

import argparse

from audiox_core.cli import build_parser


def actions(command):
    _, parsers = build_parser()
    return {s for a in parsers[command]._actions for s in a.option_strings}


def test_every_setting_of_generate_is_an_option_of_batch():
    assert {"--prompt", "--takes", "--keep-original", "--lora", "--checkpoint"} <= actions("batch")
    assert isinstance(build_parser()[1]["batch"], argparse.ArgumentParser)


def test_ray_may_have_an_address():
    parse = build_parser()[0].parse_args
    for more, address in (([], None), (["--ray"], ""), (["--ray", "x:1"], "x:1")):
        assert parse(["batch", "a", "-o", "b", *more]).ray == address

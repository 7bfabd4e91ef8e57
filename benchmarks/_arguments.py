"""Arguments that benchmarks have in common."""

import argparse
import ast

PRECISIONS = ("float32", "bfloat16")


def parse_parameter(text):
    """``key=value`` with a Python literal, or else a string, as value."""
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"must be key=value. Got {text!r}.")
    try:
        return key, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return key, value

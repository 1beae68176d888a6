"""The page docs/api.md, made from the docstrings of `import ecg`: ``python tests/api_page.py > docs/api.md``."""

import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import ecg

HEAD = """\
# Python interface

Made from the docstrings by `python tests/api_page.py > docs/api.md`. Signals are float32 in mV, (12, n_samples), in the
order I, II, III, aVR, aVL, aVF, V1 to V6, with NaN where a sample or a lead is missing.

"""


def api_page():
    """The text of the page."""
    return HEAD + "\n".join(f"## ecg.{name}\n\n{described(name, getattr(ecg, name))}" for name in ecg.__all__)


def described(name, thing):
    if not inspect.isclass(thing):
        return f"    ecg.{call(name, thing)}\n\n{as_markdown(thing)}"
    methods = [key for key, member in vars(thing).items() if key[0] != "_" and inspect.isroutine(getattr(thing, key))]
    parts = [f"    {call(key, getattr(thing, key))}\n\n{as_markdown(getattr(thing, key))}" for key in methods]
    return "\n".join([as_markdown(thing), *parts])


def call(name, function):
    signature = inspect.signature(function)
    plain = [each.replace(annotation=each.empty) for each in signature.parameters.values() if each.name != "self"]
    return name + str(signature.replace(parameters=plain, return_annotation=signature.empty))


def as_markdown(thing):
    """The docstring: titles in bold, entries as a list, examples as code."""
    text = re.sub(r"(?m)^(\w+)\n-{4,}\n", r"**\1**\n\n", inspect.getdoc(thing))
    body, _, examples = text.partition("**Examples**\n\n")
    body = re.sub(r"(?m)^(?![ *])(.+ : .+|[\w., ]+(?=\n    ))$", r"- \1  ", body).replace("``", "`").rstrip()
    return f"{body}\n\n```python\n{examples}\n```\n" if examples else f"{body}\n"


if __name__ == "__main__":
    print(api_page(), end="")

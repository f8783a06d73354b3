"""Reading what a page holds, as its own script does."""

import json
import re


def data_of(text):
    """The content of a page from its HTML."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def blocks(text, kind):
    return [block for block in data_of(text)["blocks"] if block["is"] == kind]


def words_of(text):
    """Every text of a page, in one string."""
    said = []

    def collect(value):
        if isinstance(value, str):
            said.append(value)
        elif isinstance(value, dict):
            for one in value.values():
                collect(one)
        elif isinstance(value, list):
            for one in value:
                collect(one)

    collect(data_of(text))
    return "\n".join(said)

"""Good encodings spoiled a little, for Hypothesis: what a decoder must refuse, or read as something else."""

import json
import re
from operator import itemgetter
from typing import Any

from hypothesis import strategies as st

from tests.strategies import texts


def spoil_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 5)))
    inserted = draw(
        st.sampled_from([b"", data[start:end] * 2, b"\n", b"\n\n", b" ", b"=", b"\xe2\x80\x94"]) | st.binary()
    )
    return data[:start] + inserted + data[end:]


def spoil_escape(draw: st.DrawFn, data: bytes) -> bytes:
    """Write one character as an escape."""
    text = data.decode(errors="replace")
    at = draw(st.integers(0, max(0, len(text) - 1)))
    units = text[at : at + 1].encode("utf-16-be").hex()
    escape = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    return (text[:at] + draw(st.sampled_from([escape, escape.upper().replace("U", "u")])) + text[at + 1 :]).encode()


def spoil_space(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.sampled_from([match.start() for match in re.finditer(rb"[{}\[\]:,]|$", data)]))
    return data[:at] + draw(st.sampled_from([b" ", b"\t", b"\n", b"\r", b"\x00", b"\xc2\xa0"])) + data[at:]


def spoil_number(draw: st.DrawFn, data: bytes) -> bytes:
    """Write a run of digits in another form."""
    found = draw(st.sampled_from([*re.finditer(rb"[0-9]+", data), *re.finditer(rb"$", data)]))
    forms = [
        b"%b.0",
        b"%be0",
        b"%bE+0",
        b"0%b",
        b"-%b",
        b"+%b",
        b"%b.",
        b".%b",
        b"-0",
        b"0x%b",
        b"%b0",
        b" %b",
        b"1e400",
    ]
    form = draw(st.sampled_from(forms))
    return data[: found.start()] + (form % found[0] if b"%b" in form else form) + data[found.end() :]


def spoil_members(draw: st.DrawFn, data: bytes) -> bytes:
    """Change the members of an object: twice, in another order, null, one more, one less, one in another's place."""
    try:
        members = list(json.loads(data).items())
    except (ValueError, AttributeError):
        return data
    at = draw(st.integers(0, max(0, len(members) - 1)))
    change = draw(st.sampled_from(["twice", "order", "null", "more", "less", "instead", "nested"]))
    name, value = members[at] if members else ("kind", "body")
    if change == "order":
        members = draw(st.permutations(members))
    elif change == "twice":
        members.insert(at, (name, value))
    elif change == "less":
        del members[at : at + 1]
    elif change == "more":
        members.append((draw(texts), draw(json_values)))
        members.sort(key=itemgetter(0))
    else:
        instead = {"null": None, "instead": draw(json_values), "nested": {name: value}}[change]
        members[at : at + 1] = [(name, instead)]
    dumped = [f"{json.dumps(n)}:{json.dumps(v, ensure_ascii=False, separators=(',', ':'))}" for n, v in members]
    return ("{" + ",".join(dumped) + "}").encode(errors="surrogatepass")


def spoil_deeper(draw: st.DrawFn, data: bytes) -> bytes:
    """Change or take away one value, however deep, and write the rest as it was."""
    try:
        whole = json.loads(data)
    except ValueError:
        return data
    containers = [whole]
    for container in containers:
        children = (
            container.values() if isinstance(container, dict) else container if isinstance(container, list) else []
        )
        containers += [child for child in children if isinstance(child, dict | list)]
    container = draw(st.sampled_from(containers))
    if not isinstance(container, dict | list) or not container:
        return data
    at = draw(st.sampled_from(sorted(container) if isinstance(container, dict) else range(len(container))))
    if draw(st.booleans()):
        del container[at]
    else:
        container[at] = draw(json_values)
    written = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return written.encode(errors="surrogatepass")


def spoil_lines(draw: st.DrawFn, data: bytes) -> bytes:
    """Take a line away, write it twice, or exchange it with another."""
    lines = data.split(b"\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    change = draw(st.sampled_from(["less", "twice", "exchange"]))
    if change == "exchange":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one : one + 1] = [lines[one]] * 2 if change == "twice" else []
    return b"\n".join(lines)


def spoil_within(draw: st.DrawFn, data: bytes) -> bytes:
    """Spoil a text that is a member of an object, and write the rest as it was."""
    try:
        whole = json.loads(data)
    except ValueError:
        return data
    names = sorted(name for name, value in whole.items() if type(value) is str) if isinstance(whole, dict) else []
    if not names:
        return data
    name = draw(st.sampled_from(names))
    spoil = draw(st.sampled_from([spoil_bytes, spoil_number, spoil_lines]))
    whole[name] = spoil(draw, whole[name].encode(errors="surrogatepass")).decode(errors="replace")
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(errors="surrogatepass")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SPOILERS = [
    spoil_bytes,
    spoil_bytes,
    spoil_escape,
    spoil_space,
    spoil_number,
    spoil_members,
    spoil_deeper,
    spoil_within,
    spoil_lines,
]


@st.composite
def spoiled(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    data = draw(good)
    for spoil in draw(st.lists(st.sampled_from(SPOILERS), min_size=1, max_size=2)):
        data = spoil(draw, data)
    return data

"""Policy files of C2SP tlog-policy: what they mean, against a model that counts by brute force; what is refused."""

from itertools import chain, combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.checkpoints import cosign, vkey_of
from signed_ledger.encoding import COSIGNATURE, Note, decode_checkpoint, encode_note
from signed_ledger.errors import Invalid
from signed_ledger.policy import NAMES_MAX, POLICY_BYTES_MAX, decode_policy, read_policy, shown
from signed_ledger.signing import SoftwareSigner
from tests.witnessing import NOW, SmallLog

SIGNERS = [SoftwareSigner(bytes([number]) * 32) for number in range(1, 8)]
WITNESSES = [vkey_of(f"w{number}.example", signer.public_key, COSIGNATURE) for number, signer in enumerate(SIGNERS)]
LOG = SmallLog(signer=SoftwareSigner(bytes(32)))
NAMES = [f"W{number}" for number in range(len(SIGNERS))]
LINES = "".join(f"witness {name} {vkey}\n" for name, vkey in zip(NAMES, WITNESSES, strict=True))


def subsets(names: list[str]) -> list[set[str]]:
    return [set(chosen) for chosen in chain.from_iterable(combinations(names, n) for n in range(len(names) + 1))]


@st.composite
def groupings(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, list[str]]], str]:
    """The group lines of a policy, the same as (threshold, members) by name, and the name of the quorum."""
    free, groups, lines = list(NAMES), {}, []
    for number in range(draw(st.integers(0, 4))):
        if not free:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        count = draw(st.one_of(st.sampled_from(["all", "any"]), st.integers(1, len(members)).map(str)))
        free = [name for name in free if name not in members]
        name = f"G{number}"
        lines.append(f"group {name} {count} {' '.join(members)}\n")
        groups[name] = ({"all": len(members), "any": 1}.get(count) or int(count), members)
        free.append(name)
    return "".join(lines), groups, draw(st.sampled_from([*NAMES, *groups]))


@given(groupings())
def test_a_quorum_is_what_counting_gives(grouping: tuple[str, dict[str, tuple[int, list[str]]], str]) -> None:
    lines, groups, quorum = grouping
    policy = decode_policy(f"{LINES}{lines}quorum {quorum}\n".encode())
    for cosigned in subsets(NAMES):
        true = set(cosigned)
        for name, (threshold, members) in groups.items():  # in order: a group names only those before it
            if len(true & set(members)) >= threshold:
                true.add(name)
        assert policy.is_met(cosigned) == (quorum in true)


def test_the_example_of_the_specification_is_read() -> None:
    names = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
    witnesses = "".join(f"witness {name} {vkey}\n" for name, vkey in zip(names, WITNESSES, strict=False))
    policy = decode_policy(
        f"# a comment\n\t \nlog {LOG.vkey} https://log.example/\n{witnesses}"
        "group X-witnesses 2 X1 X2 X3\n group\tY-witnesses  any Y1 Y2 Y3 \n"
        "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n".encode()
    )
    assert [log.url for log in policy.logs] == ["https://log.example/"]
    assert policy.is_met({"X1", "X3", "Y2"})
    assert not policy.is_met({"X1", "X2", "X3"})
    assert not policy.is_met({"X1", "Y1", "Y2", "Y3"})


def test_no_quorum_is_met_by_nobody() -> None:
    assert decode_policy(b"quorum none\n").is_met(set())


def test_who_cosigned_is_verified_and_named_as_in_the_policy() -> None:
    policy = decode_policy(f"{LINES}log {LOG.vkey}\nquorum W0\n".encode())
    signed = decode_checkpoint(LOG.note(5))
    lines = [cosign(signed, f"w{number}.example", SIGNERS[number], NOW + number) for number in (0, 2)]
    wrong = cosign(decode_checkpoint(LOG.note(6)), "w1.example", SIGNERS[1], NOW)
    note = decode_checkpoint(encode_note(Note(signed.text.decode(), (*signed.signatures, *lines, wrong))))
    assert policy.cosigned(note) == {"W0": NOW, "W2": NOW + 2}
    assert policy.accepts(note)
    assert not policy.accepts(decode_checkpoint(SmallLog().note(5)))


def test_names_are_of_any_bytes() -> None:
    name = "Zeug\xe9".encode("latin-1")
    policy = decode_policy(b"witness " + name + b" " + WITNESSES[0].encode() + b"\nquorum " + name + b"\n")
    (known,) = policy.witnesses
    assert policy.is_met({known})
    assert shown(known) == "Zeug\ufffd"


SAME_KEY = vkey_of("other.example", SIGNERS[0].public_key, COSIGNATURE)
WEAK = vkey_of("weak.example", bytes(31) + b"\x80", COSIGNATURE)


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("quorum W9", "W9: is no witness or group of a line before"),
        ("quorum G1\ngroup G1 all W0", "G1: is no witness or group"),
        ("quorum W0\nquorum W0", "quorum: is said a second time"),
        ("quorum W0 W1", "quorum: must be"),
        ("quorum", "quorum: must be"),
        ("witness X", "witness: must be"),
        (f"witness none {SAME_KEY}", "none: is taken"),
        (f"witness W1 {SAME_KEY}", "W1: is taken"),
        (f"witness X {SAME_KEY}", "vkey: is the key of another witness too"),
        (f"witness X {LOG.vkey}", "vkey: is not of a witness"),
        (f"witness X {WITNESSES[0][:-1]}", "vkey"),
        (f"witness X {WEAK}", "of low order|canonical"),
        (f"log {SAME_KEY}", "vkey: is not of a log"),
        (f"log {LOG.vkey}\nlog {LOG.vkey}", "vkey: is the key of another log too"),
        (f"log {LOG.vkey} https://a.example/ more", "log: must be"),
        ("group W0 all W1", "W0: is taken"),
        ("group G all", "group: must be"),
        ("group G 0 W0", "it is 0"),
        ("group G 3 W0 W1", "it is 3"),
        ("group G 01 W0", "it is 01"),
        ("group G some W0", "it is some"),
        ("group G all none", "none: is no witness"),
        ("group G all G", "G: is no witness"),
        ("group G all W0 W0", "W0: is a member of a group already"),
        ("group G all W0\ngroup H all W0", "W0: is a member of a group already"),
        ("Quorum W0", "Quorum: is not one of"),
        ("wit\x00ness", "control character"),
        ("quorum W0\r", "control character"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(line: str, about: str) -> None:
    number = LINES.count("\n") + line.count("\n") + 1
    with pytest.raises(Invalid, match=about) as refused:
        decode_policy(f"{LINES}{line}\n".encode())
    if "G1\n" not in line:  # there it is the first of two lines
        assert refused.value.field == f"policy:{number}"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(LINES.encode(), id="no quorum"),
        pytest.param(b"quorum none", id="no newline at the end"),
        pytest.param(b"quorum none\n" + b"#" * POLICY_BYTES_MAX + b"\n", id="too long"),
        pytest.param(b"witness X x\xff+00000000+AAAA\nquorum none\n", id="a key that is not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_policy(data)


def test_the_number_of_groups_is_bounded_and_their_depth_with_it() -> None:
    def nested(depth: int) -> bytes:
        groups = "".join(f"group G{n} all {'W0' if n == 0 else f'G{n - 1}'}\n" for n in range(depth))
        return f"{LINES}{groups}quorum G{depth - 1}\n".encode()

    assert decode_policy(nested(NAMES_MAX)).is_met({"W0"})
    with pytest.raises(Invalid, match="one more than"):
        decode_policy(nested(NAMES_MAX + 1))


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    with pytest.raises(Invalid, match="can not be read"):
        read_policy(path)
    path.write_text("quorum W\n")
    with pytest.raises(Invalid, match=f"{path}:1"):
        read_policy(path)
    path.write_text(f"{LINES}quorum W3\n")
    assert read_policy(path).quorum == "W3"

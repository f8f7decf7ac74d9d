"""Erasures as records and as bytes: runs of seqs, asked by part and seq, in one form only."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.encoding import PART_BYTES_MAX, decode_body, encode_body
from signed_ledger.errors import Invalid
from signed_ledger.records import Erased, Erasure
from signed_ledger.records.erasures import Seqs, runs_of
from signed_ledger.rules.erasing import ENTRIES_MAX

SALT = bytes(16)
seqs = st.sets(st.integers(0, 300), min_size=1).map(sorted)


def erasure(body: Seqs, **more: Seqs) -> Erasure:
    return Erasure(asked_by="case 1", why="asked", body=body, **more)


@given(seqs, seqs)
def test_it_reads_back_the_same_and_names_these_and_no_others(bodies: list[int], states: list[int]) -> None:
    said = erasure(runs_of(bodies), state=runs_of(states))
    assert decode_body(encode_body(said, SALT)).body == said
    erased = Erased([(1000, said)])
    assert [seq for seq in range(302) if erased.by("body", seq) == 1000] == bodies
    assert [seq for seq in range(302) if erased.by("state", seq) == 1000] == states
    assert all(erased.by("evidence", seq) is None for seq in range(302))
    assert (said.count("body"), said.count("state"), said.newest) == (len(bodies), len(states), max(bodies + states))


@given(seqs, seqs, st.integers(0, 300), st.integers(0, 300))
def test_of_several_any_answers_for_what_it_names(first: list[int], second: list[int], one: int, other: int) -> None:
    erased = Erased([(1000, erasure(runs_of(first))), (1001, erasure(runs_of(second)))])
    for seq in range(302):
        by = erased.by("body", seq)
        assert (by is not None) is (seq in first or seq in second)
        assert by is None or seq in {1000: first, 1001: second}[by]
    low, high = sorted((one, other))
    assert (erased.by_any("body", low, high) is not None) is any(low <= seq <= high for seq in first + second)
    assert list(erased.twice) == [1001] * (not {*first}.isdisjoint(second))


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [[2, 1]],
        [[1, 2], [2, 3]],
        [[1, 2], [3, 4]],
        [[5, 5], [1, 1]],
        [[-1, 1]],
        [[1]],
        [[1, 2, 3]],
        [["1", "2"]],
        [1],
    ],
    ids=["none", "backwards", "twice", "without a gap", "out of order", "below 0", "one", "three", "text", "no runs"],
)
def test_another_form_is_refused(runs: object) -> None:
    members = {
        "asked_by": "case 1",
        "erased": {"body": runs},
        "kind": "erasure",
        "salt": "A" * 22 + "==",
        "why": "asked",
    }
    with pytest.raises(Invalid):
        decode_body(json.dumps(members, separators=(",", ":")).encode())


@pytest.mark.parametrize("text", ["", "x" * 201, "two\nlines"], ids=["empty", "too long", "two lines"])
@pytest.mark.parametrize("name", ["asked_by", "why"])
def test_who_asked_and_why_are_of_a_line(name: str, text: str) -> None:
    with pytest.raises(Invalid, match=name):
        replace(erasure(((1, 1),)), **{name: text})  # type: ignore[arg-type]


def test_it_must_name_a_part_and_nothing_but_parts() -> None:
    with pytest.raises(Invalid, match="must name a part"):
        erasure(())
    members = {"asked_by": "a", "erased": {"body": [[1, 1]], "note": [[1, 1]]}, "kind": "erasure", "why": "b"}
    with pytest.raises(Invalid, match="note"):
        decode_body(json.dumps({**members, "salt": "A" * 22 + "=="}, separators=(",", ":"), sort_keys=True).encode())


def test_the_largest_that_is_written_fits_into_a_body() -> None:
    far = 2**53 - 1 - 2 * ENTRIES_MAX
    apart = runs_of(range(far, far + 2 * ENTRIES_MAX, 2))
    assert len(apart) == ENTRIES_MAX
    widest = Erasure(asked_by='"' * 200, why="\U0001f600" * 200, body=apart, state=apart, evidence=apart)
    assert len(encode_body(widest, SALT)) <= PART_BYTES_MAX

"""PKCS#11 URIs: read strictly, written as they are read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.signing import KeyFileRefused, KeyUri, parse_key_uri

FULL = (
    "pkcs11:token=Our%20token;serial=0815;object=entry;id=%01%FFa;type=private"
    "?module-path=/usr/lib/libhsm.so&pin-source=file:/etc/pin"
)


def test_every_attribute_is_read() -> None:
    assert parse_key_uri(FULL, "here") == KeyUri(
        "Our token", "0815", "entry", b"\x01\xffa", Path("/usr/lib/libhsm.so"), Path("/etc/pin")
    )
    assert parse_key_uri("pkcs11:token=t", "here") == KeyUri("t")
    assert parse_key_uri("pkcs11:id=%00;token=t?pin-source=file:///etc/pin", "here").pin_file == Path("/etc/pin")


@given(
    st.builds(
        KeyUri,
        token=st.text(min_size=1),
        serial=st.none() | st.text(min_size=1),
        object=st.none() | st.text(min_size=1),
        id=st.none() | st.binary(min_size=1),
        module=st.none() | st.just(Path("/opt/a b/ü&;?.so")),
        pin_file=st.none() | st.just(Path("/etc/pin of ü")),
    )
)
def test_what_is_written_is_read_again(uri: KeyUri) -> None:
    assert parse_key_uri(str(uri), "here") == uri


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        pytest.param("", "is no PKCS#11 URI", id="nothing"),
        pytest.param("PKCS11:token=t", "no PKCS#11 URI", id="another scheme"),
        pytest.param("pkcs11:", "not one of", id="no attribute"),
        pytest.param("pkcs11:object=o", "names no token", id="no token"),
        pytest.param("pkcs11:token=t;slot-id=1", "'slot-id'", id="an unknown attribute"),
        pytest.param("pkcs11:token=t?module-name=x", "'module-name'", id="an unknown query attribute"),
        pytest.param("pkcs11:token=t;module-path=/x", "'module-path'", id="a query attribute in the path"),
        pytest.param("pkcs11:token=t?object=o", "'object'", id="a path attribute in the query"),
        pytest.param("pkcs11:token=t;", "''", id="an empty attribute"),
        pytest.param("pkcs11:token=t?", "''", id="an empty query"),
        pytest.param("pkcs11:token=t;token=t", "token twice", id="an attribute twice"),
        pytest.param("pkcs11:token=", "empty", id="an empty value"),
        pytest.param("pkcs11:token=a b", "percent", id="a space"),
        pytest.param("pkcs11:token=t\n", "percent", id="a second line"),
        pytest.param("pkcs11:token=%4", "percent", id="half an octet"),
        pytest.param("pkcs11:token=%4g", "percent", id="no hex digit"),
        pytest.param("pkcs11:token=ü", "percent", id="beyond ASCII"),
        pytest.param("pkcs11:token=%ff", "UTF-8", id="not UTF-8"),
        pytest.param("pkcs11:token=t;type=public", "another type", id="a public key"),
        pytest.param("pkcs11:token=t?module-path=lib.so", "start with /", id="a library to be looked for"),
        pytest.param("pkcs11:token=t?module-path=file:/lib.so", "start with /", id="a library as a file URI"),
        pytest.param("pkcs11:token=t?module-path=/lib%00.so", "start with /", id="a path with a NUL"),
        pytest.param("pkcs11:token=t?pin-source=/etc/pin", "start with file:/", id="a PIN by path alone"),
        pytest.param("pkcs11:token=t?pin-source=file:pin", "start with file:/", id="a relative PIN file"),
        pytest.param("pkcs11:token=t?pin-source=|/bin/pin", "start with file:/", id="a PIN by a program"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, detail: str) -> None:
    with pytest.raises(KeyFileRefused) as refused:
        parse_key_uri(text, "here")
    assert refused.value.field == "here"
    assert detail in refused.value.detail


@pytest.mark.parametrize("text", ["pkcs11:token=t?pin-value=73519428", "pkcs11:pin-value=73519428"])
def test_a_pin_in_the_uri_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyFileRefused, match="use pin-source") as refused:
        parse_key_uri(text, "here")
    assert "73519428" not in str(refused.value)

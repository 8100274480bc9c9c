"""What counts as a secret, and that it is found and replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.base.redaction import find_secret, is_secret_name, redact, secrets_in
from experimentstash.code.secret_files import is_secret_file

SECRET_NAMES = (
    "WANDB_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "TOKEN",
    "hf_token",
    "APIKEY",
    "DB_PASSWORD",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "SSH_PRIVATE_KEY",
    "REGISTRY_AUTH",
)
OTHER_NAMES = (
    "PATH",
    "TOKENIZERS_PARALLELISM",
    "MAX_TOKENS",
    "GIT_AUTHOR_NAME",
    "KEYBOARD",
    "SECRETARY",
    "PASSWORDLESS",
    "MODE",
)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_of_others(name: str) -> None:
    assert not is_secret_name(name)


def test_files_of_secrets() -> None:
    for name in (".env", "deep/.env.local", "server.pem", "a.key", ".netrc", "id_rsa", "x/credentials.json", ".pypirc"):
        assert is_secret_file(name), name
    for name in ("env.py", "environment.yaml", "keys.py", "a.keys", "id_rsa.pub", "pem.txt", "my_credentials.py"):
        assert not is_secret_file(name), name


def test_what_is_no_secret_after_all(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.touch()
    environment = {"SSH_AUTH_SOCK": str(path), "X_TOKEN": "main", "Y_TOKEN": "swordfish-1", "MODE": "fast-and-long"}
    # A path says where a secret is, and a short word would be found everywhere.
    assert secrets_in(environment) == {"swordfish-1": "Y_TOKEN"}
    assert find_secret([str(path), "main", "fast-and-long"], environment) is None
    assert find_secret(["x", "--key=swordfish-1x"], environment) == "Y_TOKEN"
    assert find_secret([], environment) is None


def test_a_secret_within_a_secret() -> None:
    environment = {"A_TOKEN": "swordfish", "B_TOKEN": "swordfish-and-more", "C_TOKEN": "one-swordfish"}
    text = redact("a swordfish, b swordfish-and-more, c one-swordfish", environment)
    assert text == "a <A_TOKEN>, b <B_TOKEN>, c <C_TOKEN>"


VALUES = st.text("abcdefgh-!$<>\"'\\\n é", min_size=8, max_size=20)


@pytest.mark.slow
@given(st.lists(VALUES, min_size=1, max_size=3, unique=True), st.lists(st.text(max_size=20), max_size=4), st.data())
def test_no_secret_is_left(values: list[str], texts: list[str], data: st.DataObject) -> None:
    environment = {f"{letter}_TOKEN": value for letter, value in zip("XYZ", values, strict=False)}
    parts = [part for text in texts for part in (text, data.draw(st.sampled_from(values)))]
    text = redact("".join(parts), environment)
    assert not any(value in text for value in values)
    assert ("_TOKEN>" in text) == bool(parts)


def test_other_text_stays_as_it_is() -> None:
    text = "nothing\r\n\x00 to \udce9 see"
    assert redact(text, {"X_TOKEN": "swordfish-1", "PATH": "nothing"}) == text

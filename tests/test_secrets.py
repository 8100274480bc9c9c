"""No secret reaches a file or a terminal: canaries in whatever a run gets to see, and then a look into everything."""

from __future__ import annotations

import base64
import json
import os
import shlex
from pathlib import Path
from urllib.parse import quote

import pytest

from experimentstash.base.masking import Mask
from experimentstash.base.redaction import (
    Known,
    find_named_secret,
    find_secret,
    is_named_secret,
    is_secret_name,
    redact,
    secrets_in,
)
from experimentstash.code.patches import withhold
from experimentstash.code.secret_files import has_secret, holds_secret, is_secret_file
from tests.testing.stash import InProcess, StashUnderTest, git

NAMES = (
    "GH_PAT MY_PASS SECRETKEY AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN PGPASSWORD MYSQL_PWD HF_TOKEN"
    " HUGGINGFACEHUB_API_TOKEN OPENAI_API_KEY WANDB_KEY NPM_TOKEN SLACK_WEBHOOK hfToken apiKey dbPassword DB_PASS CREDS"
    " PASSPHRASE SSHPASS SIGNING_KEY KAGGLE_KEY NEPTUNE_API_TOKEN APP_SECRET_V2 TOKEN2 HFTOKEN APITOKEN my-token JWT"
    " AUTH_TOKEN_PROD SECRET_KEY_BASE AZURE_CLIENT_SECRET SUDO_PASSWORD PASS1 SESSION_COOKIE REDISCLI_AUTH"
    ""
    " DB_PW USERPWD MYPASS DBPASS OPENAIKEY"
    " DOCKER_AUTH_CONFIG COMET_APIKEY HTTP_AUTHORIZATION CI_JOB_TOKEN RESTIC_PASSWORD VAULT_SECRET_ID"
)
HARMLESS_NAMES = (
    "PWD OLDPWD PATH COMPASS MAX_TOKENS PAD_TOKEN_ID EOS_TOKEN TOKENIZERS_PARALLELISM CACHE_KEY SSH_AUTH_SOCK AUTH_TYPE"
    " PASSWORD_FILE SECRET_NAME KEYBOARD MONKEY PATTERN AWS_REGION AWS_PROFILE GIT_AUTHOR_NAME XAUTHORITY BYPASS PASSED"
    " XDG_SESSION_ID SORT_KEY TOKEN_COUNT KEYMAP SSH_ASKPASS EXPERIMENTSTASH_TOKEN"
    ""
    " FIRST_PASS LOW_PASS BACKWARD_PASS BANDPASS BLOCK_TOKENS TOKEN_BUDGET TOKEN_LEVEL KEY_DIM NUM_KEYS QUERY_KEY"
    " SAS_HOME VOCAB_TOKENS SALT_CONCENTRATION TOKENIZER PASSES"
)


def test_names() -> None:
    assert [name for name in NAMES.split() if not is_secret_name(name)] == []
    assert [name for name in HARMLESS_NAMES.split() if is_secret_name(name)] == []


# A variable, what is secret in it, and what isn't.
VALUES = (
    ("DATABASE_URL", "postgres://bob:c4nary%2Fpw@host:5432/db", ["c4nary/pw", "c4nary%2Fpw"], ["bob", "host:5432"]),
    ("REDIS", "redis://:c4naryshort@h/0", ["c4naryshort"], ["redis://h/0"]),
    ("HTTP_PROXY", "http://u:pw@proxy:3128", ["http://u:pw@proxy"], ["pw", "http://proxy:3128"]),
    ("MY_PASS", "hunter2", ["hunter2", "--p=hunter2"], ["hunter20", "xhunter2"]),
    ("API_KEYS", "canary-1234a,canary-5678b", ["canary-1234a", "canary-5678b"], ["canary"]),
    ("HEADERS", "Authorization: Bearer canary-bearer-1", ["canary-bearer-1"], ["Authorization: Bearer"]),
    ("CONNECTION", "Server=x;User Id=y;Password=c4naryConn;", ["c4naryConn"], ["Server=x"]),
    (
        "HOOK",
        "https://hooks.slack.com/services/T0CANARY/B0CANARY/abcdefghij0123456789",
        ["T0CANARY/B0CANARY/abcdefghij0123456789"],
        [],
    ),
    ("FETCH", "https://data.org/x?sig=c4narySig123&n=1", ["c4narySig123"], ["https://data.org/x", "n=1"]),
    ("X_TOKEN", "true", [], ["true"]),
    ("USE_AUTH", "disabled", [], ["disabled"]),
    ("DB_PASSWORD", "postgres", [], ["postgres://localhost"]),
    ("CORPUS_TOKENS", "2000000000", [], ["2000000000"]),
    ("MY_PASS", "20000000", ["20000000"], []),
    ("KEY", "attention_mask", [], ["attention_mask"]),
    ("AUTH", "kerberos", [], ["kerberos"]),
    ("MY_SECRET", "/scratch/secret/place", [], ["/scratch/secret/place"]),
    ("KEY_FILE", "/nowhere/key.pem", [], ["/nowhere/key.pem"]),
    ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/account.json", [], ["/nowhere/account.json"]),
    ("MASK_TOKEN", "<|endoftext|>", [], ["<|endoftext|>"]),
    ("SOMETHING", "ghp_" + "c4nary" * 6, ["ghp_" + "c4nary" * 6], ["ghp_"]),
    ("DATA", '{"key": {"private_key": "abcd\\nc4narycanary1234\\n"}, "n": 1}', ["c4narycanary1234"], ["private_key"]),
)


@pytest.mark.parametrize(("name", "value", "secret", "plain"), VALUES, ids=[each[0] for each in VALUES])
def test_values(name: str, value: str, secret: list[str], plain: list[str]) -> None:
    known = Known({name: value, "HOME": "/home/bob", "USER": "bob"})
    assert [text for text in secret if known.find(text) is None and known.find(f"{text}/x") is None] == []
    assert [text for text in plain if known.find(text) is not None or known.redact(text) != text] == []
    assert not any(text in known.redact(f"a {value} b") for text in secret)


def test_a_users_own_name_is_no_secret() -> None:
    assert secrets_in({"USER": "alexandra", "DB_PASSWORD": "alexandra"}) == {}


TRICKY = "c4nary/+ \"p\\w' é$&%"


@pytest.mark.parametrize(
    "written",
    [
        TRICKY,
        quote(TRICKY, safe=""),
        quote(TRICKY).lower(),
        quote(TRICKY, safe="").replace("%20", "+"),
        json.dumps({"x": TRICKY}),
        json.dumps({"x": TRICKY}, ensure_ascii=False),
        json.dumps(json.dumps(TRICKY)),
        repr(TRICKY),
        f"""'{TRICKY.replace("'", "''")}'""",
        shlex.quote(TRICKY),
        base64.b64encode(TRICKY.encode()).decode(),
        base64.b64encode(f"bob:{TRICKY}".encode()).decode(),
        base64.urlsafe_b64encode(f"alice:{TRICKY}\n".encode()).decode(),
        base64.b64encode(f"ab:{TRICKY}".encode()).decode(),
        TRICKY.encode().hex(),
    ],
)
def test_forms(written: str) -> None:
    environment = {"MY_TOKEN": TRICKY}
    assert find_secret([written], environment) == "MY_TOKEN"
    assert find_secret([redact(f"before {written} after", environment)], environment) is None


SHAPES = (
    "ghp_" + "a1" * 18,
    "github_pat_" + "a1" * 41,
    "glpat-" + "a1" * 10,
    "hf_" + "aB" * 17,
    "AKIA" + "ABCDEFGH23456789",
    "AIza" + "a1B2c" * 7,
    "xoxb-123456789012-123456789012-abcdefABCDEF",
    "sk-ant-api03-" + "a1" * 20,
    "sk-proj-" + "a1" * 20,
    "npm_" + "a1" * 18,
    "pypi-AgEIcHlwaS5vcmc" + "a1" * 20,
    "eyJhbGciOiJIUzI1NiIsInR5cCI6.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----",
    "https://bob:s3cret@host/repo.git",
    "postgresql+psycopg://bob:s3cret@host/db",
    "https://host/x?access_token=abcdef123",
    "https://0123456789abcdef0123456789abcdef@sentry.io/1",
    "https://bucket.s3.amazonaws.com/x?X-Amz-Algorithm=A&X-Amz-Signature=0123456789abcdef",
    'curl -H "Authorization: Basic dXNlcjpwYXNzd29yZA=="',
    "Bearer abcdefghij1234567890",
    "xai-" + "aB1" * 27,
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + "a1B2" * 21 + "ab==",
    "mysql -h db -u bob -pswordfish shop",
    "mysqldump --all -p'swordfish' > x",
    "mariadb -pswordfish",
    "mongosh --host h -u bob -p swordfish",
    "redis-cli -h h -a swordfish ping",
    "redis-server --requirepass swordfish",
    "requirepass swordfish",
    "masterauth swordfish",
    "curl -s -u bob:swordfish https://h",
    'curl --user "bob:swordfish" https://h',
    "sshpass -p swordfish ssh h",
    "sshpass -pswordfish ssh h",
    "docker login -u bob -p swordfish registry",
    "ldapsearch -x -w swordfish",
)
PLAIN = (
    "params.tokenizer=gpt2 params.max_tokens=512 key=label",
    "git@github.com:owner/repo.git ssh://git@host/x https://host/x?ref=main",
    "https://user:${oc.env:PASSWORD}@host/x https://user:<password>@host postgres://u:password@h/db",
    "2026-11-26T01:50:00 /home/bob/outputs/2026-11-26/01-50-00-k3f9a2b",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "docker://ubuntu:22.04@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "https://organisation.of.ours@dev.azure.com/org/_git/repo",
    "ce013625030ba8dba906f756967f9e9ca394464a 3f2504e0-4f89-11d3-9a0c-0305e82c3301 /home/bob/secret/token/x.txt",
    "mysql -h db -u bob -p shop",
    "mysql -u bob -p$MYSQL_PWD shop; mysql -p${X} y; mysql --protocol=tcp",
    "curl -u bob https://h; curl -u $USER:$TOKEN https://h; curl -u {user}:{password} h; curl -u user:pass https://h",
    'sshpass -p "$SSHPASS" ssh h; sshpass -e ssh h; sshpass -f file ssh h',
    "redis-cli -a $REDIS_PASSWORD; requirepass <password>; redis-cli -n 3",
    "docker login -u bob --password-stdin; docker run -p 8080:80 x; python train.py -p 3 -u bob:sub",
    "sk-learn sk-image hf_hub_download hf_transformers_model ghost_town glow-v1 xoxo",
)


@pytest.mark.parametrize("text", SHAPES)
def test_shapes(text: str) -> None:
    found = find_secret([f"x={text}"], {})
    assert found is not None and " " in found
    assert find_secret([redact(f"x={text}", {})], {}) is None


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_looks_like_it(text: str) -> None:
    assert (find_secret([text], {}), redact(text, {})) == (None, text)


def test_parameters_that_are_named_like_a_secret() -> None:
    for name in ("password", "db.password", "api_key", "openai_api_key", "auth_token", "client_secret", "hf_token"):
        assert is_named_secret(name, "abcd1234"), name
    for name, value in (
        ("password", "hunter2"),
        ("db.passwd", "swordfish"),
        ("--password", "1234"),
        ("token", "abcdef1234567890"),
        ("pass", "hunter2"),
        ("pw", "tr0ub4dor"),
        ("pwd", "step12345"),
        ("password", "step12"),
    ):
        assert is_named_secret(name, value), name
    for name, value in (
        ("pad_token", "abcd1234"),
        ("key", "abcd1234"),
        ("password", "required"),
        ("api_key", "/a/b.txt1"),
        ("password", "/run/secrets/db"),
        ("password", "${oc.env:X}"),
        ("token", "wordpiece-v2"),
        ("key", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ("pad_token", "abcdef1234567890"),
        ("pass", "step12"),
        ("pw", "l2_norm"),
        ("model.pass", "epoch_100"),
        ("pass", "fold3/seed42"),
        ("pw", "resnet50-v2"),
    ):
        assert not is_named_secret(name, value), name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("--password=hunter2", "password"),
        ("train --password hunter2", "password"),
        ("['--password', 'hunter2']", "password"),
        ("description=the password: hunter2", "password"),
        ("++params.db={host: x, passwd: swordfish}", "passwd"),
        ("--name password --n 3", None),
        ("--password --n 3", None),
        ("tokenizer=bert passes=3 max_tokens=4096 key=label keyboard=us pass=3", None),
    ],
)
def test_what_a_text_gives_to_the_name_of_a_secret(text: str, name: str | None) -> None:
    assert find_named_secret([text]) == name


SECRET_FILES = (
    ".git-credentials id_ecdsa .pgpass .npmrc secrets.yaml a.p12 service-account.json .netrc .env .env.local kubeconfig"
    " x/.kube/config .huggingface/token a/huggingface/token .ssh/config hf_token.txt token.json secrets/db.txt my.pfx"
    " .streamlit/secrets.toml id_ed25519.bak kaggle.json .docker/config.json api_keys.json prod.env .aws/config"
    " .netrc.bak .env~ #.env# secrets.yaml.old deploy_key wandb_api_key clientsecret.json"
    " client_secret_123.json credentials.json .pypirc server.PEM db_password.txt .envrc terraform.tfstate .bash_history"
)
OTHER_FILES = (
    "train.py env.py tokenizer.json tokenizer_config.json special_tokens_map.json config.yaml secrets.py tokens.txt"
    " .env.example id_rsa.pub model.json keys.py password_strength.py secret_sharing.ipynb author.json oauth.py"
    " environment.yaml cls_token.yaml next-token.yaml secretome.csv"
)
# A text, the file it is in, and whether there is a secret in it.
CONTENTS = (
    ("api_key: abcd1234efgh", "x.yaml", True),
    ("password: swordfish", "x.yaml", True),
    ("db:\n  PASSWORD = 'swordfish'\n", "x.ini", True),
    ("export OPENAI_API_KEY=abcd1234efgh", "set-up.sh", True),
    ('{"a": {"password":"abcd1234x"}}', "x.json", True),
    ("API_KEY = 'abcd1234efgh'", "x.py", True),
    ("machine h login me password x", "notes", True),
    ("users:\n- user:\n    token: abcdefghijklmnopqrst", "cluster", True),
    ("//registry.npmjs.org/:_authToken=abcd1234abcd", "rc", True),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "config", True),
    ("[remote 'origin']\n  url = https://bob:s3cret1@host/x.git", "gitconfig", True),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n", "notes.txt", True),
    ("ENV API_KEY=abcd1234efgh", "Dockerfile", True),
    ("wandb login 0123456789abcdef0123456789abcdef01234567", "run.sh", True),
    ("train --api-key abcd1234efgh", "run.sh", True),
    ("apiVersion: v1\nkind: Secret\ndata: {a: YWJj}\n", "x.yaml", True),
    ("{\"source\": [\"os.environ['HF_TOKEN'] = 'abcd1234efgh'\\n\"]}", "x.ipynb", True),
    ('{"source": ["login(token=\\"abcd1234efgh5678\\")"]}', "x.ipynb", True),
    ("wandb:\n  key: 0123456789abcdef0123456789abcdef01234567\n", "x.yaml", True),
    ("wandb_key: 0123456789abcdef0123456789abcdef01234567\n", "x.yaml", True),
    ("wandb.login(key='0123456789abcdef0123456789abcdef01234567')", "x.py", True),
    ("export HF_TOKEN=abcd1234efgh", "run.sh", True),
    ("#SBATCH --export=HF_TOKEN=abcd1234efgh", "run.sh", True),
    ("curl -u bob:hunter22 https://h", "run.sh", True),
    ("train --token abcd1234efgh", "run.sh", True),
    ("password='hunter2'", "x.py", True),
    ("db_pass: hunter2", "x.yaml", True),
    ("db: {host: x, password: swordfish}", "x.yaml", True),
    ("args: ['--password', 'swordfish1']", "x.yaml", True),
    ("secret: |\n  abcd1234efgh", "x.yaml", True),
    ("<password>swordfish1</password>", "x.xml", True),
    ('{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNzMTIz"}}}', "x.json", True),
    ('{"username":"bob","key":"0123456789abcdef0123456789abcdef"}', "x.json", True),
    ("default login u password x", "notes", True),
    ("PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\n", "mine", True),
    ("abcd1234efgh\n", "openai_key.txt", True),
    ("hunter2", "pw.txt", True),
    ("mysql -u bob -pswordfish shop", "run.sh", True),
    ("port 6379\nrequirepass swordfish\n", "redis.conf", True),
    ("redis-cli -a swordfish ping", "run.sh", True),
    ("sshpass -p swordfish ssh h", "run.sh", True),
    ("curl -u bob:swordfish https://h", "run.sh", True),
    ("pass: step12\npw: l2_norm\n", "x.yaml", False),
    ("ce013625030ba8dba906f756967f9e9ca394464a", "version.txt", False),
    ("commit: ce013625030ba8dba906f756967f9e9ca394464a", "x.yaml", False),
    ("model:\n  token: wordpiece-bert-base-uncased1\n", "x.yaml", False),
    ("password_dataset: rockyou2021\npassword_min_length: 12345678\n", "x.yaml", False),
    ("bypass_layer: conv2d_12\nnum_passes: 100000\n", "x.yaml", False),
    ("api_key_env: OPENAI_API_KEY1\n", "x.yaml", False),
    ("TOKENIZERS_PARALLELISM=false\nMAX_TOKENS=40960000\n", "run.sh", False),
    ("MODEL_KEY = 'resnet50_v2'\nkey = 'column_12'\ntoken='next_token_12'", "x.py", False),
    ("password = getpass()", "x.py", False),
    ("train --api-key $API_KEY1234 --password ${X}", "run.sh", False),
    ("api_key=os.environ['X1234567']", "x.py", False),
    ("token = tokenizer.next_token_1", "x.py", False),
    ("def f(password='changeme'): ...", "x.py", False),
    ("secret_key: ${oc.env:X1}", "x.yaml", False),
    ("password: ???", "x.yaml", False),
    ("password: null", "x.yaml", False),
    ("lr: 0.1\nmax_tokens: 512\ntokenizer: gpt2\n", "x.yaml", False),
)


def test_files() -> None:
    assert [name for name in SECRET_FILES.split() if not is_secret_file(name)] == []
    assert [name for name in OTHER_FILES.split() if is_secret_file(name)] == []
    assert [(text, name) for text, name, is_one in CONTENTS if has_secret(text, name) is not is_one] == []


def test_a_file_that_windows_has_written(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("password: swordfish\n", encoding="utf-16")
    assert holds_secret(tmp_path, "notes.txt")
    os.mkfifo(tmp_path / "pipe")  # never waited for
    assert not holds_secret(tmp_path, "pipe") and not holds_secret(tmp_path, "missing")


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        (CERTIFICATE, False),
        (f"# the authority of ours\n{CERTIFICATE}\n{CERTIFICATE}", False),
        (CERTIFICATE.replace("CERTIFICATE", "RSA PUBLIC KEY"), False),
        (CERTIFICATE + KEY, True),
        (f"{CERTIFICATE}password: swordfish\n", True),
        ("MIIEvgIBADANBgkqhkiG\n", True),
        ("", True),
    ],
)
def test_a_file_of_certificates_is_none(tmp_path: Path, text: str, is_secret: bool) -> None:
    (tmp_path / "ca.pem").write_text(text)
    assert holds_secret(tmp_path, "ca.pem") == is_secret
    assert holds_secret(tmp_path, "missing.pem")


def test_a_patch_without_what_is_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_TOKEN", "c4nary-value")
    git("init", "-q", cwd=tmp_path)
    names = ("plain.py", "has it.yaml", "had it.py", "bin", 'tab\tand"quote é', "gone", "mode")
    for name in names:
        (tmp_path / name).write_text("c4nary-value\n" if name in ("had it.py", "gone") else f"one {name}\n")
    (tmp_path / "bin").write_bytes(bytes(range(256)))
    git("add", "-A", cwd=tmp_path)
    git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "all", cwd=tmp_path)
    (tmp_path / "plain.py").write_text("two\n")
    (tmp_path / "has it.yaml").write_text("key: c4nary-value\n")
    (tmp_path / "had it.py").write_text("nothing\n")
    (tmp_path / "bin").write_bytes(bytes(range(255)) + b"c4nary-value")
    (tmp_path / names[4]).write_text("password: swordfish\n")
    (tmp_path / "gone").unlink()
    (tmp_path / "mode").chmod(0o755)
    patch = git("diff", "--binary", cwd=tmp_path)
    kept, withheld = withhold(patch, tmp_path)
    assert sorted(withheld) == sorted(["has it.yaml", "had it.py", "bin", names[4], "gone"])
    assert kept.count("diff --git") == 2 and "+two" in kept and "new mode 100755" in kept
    assert withhold(kept, tmp_path) == (kept, [])


def test_a_secret_in_pieces_is_masked(tmp_path: Path) -> None:
    text = b"before c4nary-value after, c4nary-val; and c4nary-value"
    wanted = text.replace(b"c4nary-value", b"*" * 12)
    for size in range(1, len(text) + 1):
        mask = Mask({"X_TOKEN": "c4nary-value"})
        parts = [mask.feed(text[start : start + size]) for start in range(0, len(text), size)]
        assert b"".join(parts) + mask.rest() == wanted
    mask = Mask({"X_TOKEN": "c4nary-value"})  # the file is masked while it is shown
    assert mask.feed(b"a c4nary-") + mask.feed(b"*****") + mask.rest() == b"a ************"
    log = tmp_path / "log"
    log.write_bytes(b"x" * (4 << 20) + text + b"y" * 5)
    log.write_bytes(b"x" * ((4 << 20) - 10) + text)  # across what is looked at together
    Mask({"X_TOKEN": "c4nary-value"}).file(log)
    assert log.read_bytes() == b"x" * ((4 << 20) - 10) + wanted


def files_with(words: list[str], directory: Path, *, except_below: tuple[str, ...] = ()) -> list[str]:
    """Return the files below a directory in which one of these words is, with the word."""
    found = []
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() or not path.is_file() or name.startswith(except_below):
            continue
        content = path.read_bytes()
        found += [f"{name}: {word}" for word in words if word.encode() in content]
    return found


CANARIES = {
    "HF_TOKEN": "hf_CANARYenv1" + "a1" * 14,
    "GH_PAT": "CANARYenv2pat",
    "MY_PASS": 'CANARYenv3 p&w"d',
    "DATABASE_URL": "postgres://bob:CANARYenv4%2Fpw@h/db",
    "SECRETKEY": "CANARYenv5key",
    "AWS_SECRET_ACCESS_KEY": "CANARYenv6/aws+x",
    "PIP_EXTRA": "https://u:CANARYenv7@index/x",
}
TOOL = """#!/bin/sh
env
printf %s "$HF_TOKEN" | head -c 10; printf '%s\\n' "$HF_TOKEN" | tail -c +11
echo "error: can't log in with $GH_PAT" >&2
exit ${FAILS:-0}
"""
# Files with secrets that git doesn't track.
FILES = {
    ".git-credentials": "https://u:CANARYfile1@github.com",
    "id_ecdsa": "CANARYfile2",
    ".pgpass": "h:1:d:u:CANARYfile3",
    ".npmrc": "//r/:_authToken=CANARYfile4",
    "secrets.yaml": "a: CANARYfile5",
    "x.p12": "CANARYfile6",
    "service-account.json": '{"k": "CANARYfile7"}',
    ".env": "K=CANARYfile8",
    "notes": "machine h login u password CANARYfile9",
    "local.yaml": "password: CANARYfilea",
    "in it.txt": f"key = {CANARIES['HF_TOKEN']}",
    "deep/.kube/config": "CANARYfileb",
}


@pytest.fixture
def watched(stash: StashUnderTest, monkeypatch: pytest.MonkeyPatch) -> StashUnderTest:
    """A stash with secrets wherever there may be some."""
    stash.write("tools/t/go", TOOL).chmod(0o755)
    stash.write("tools/t/settings.yaml", "x: 1\n")
    stash.write("tools/t/plain.txt", "1\n")
    stash.write(
        "conf/tool/t.yaml",
        "path: tools/t\nentrypoint: go\nenvironment: {kind: none}\ncall: {style: options}\n"
        "env: {LOGIN: '${oc.env:DATABASE_URL}', OTHER_TOKEN: '${oc.env:HF_TOKEN}'}\n",
    )
    stash.add_experiment("one", "t", "params: {n: 1}\n")
    stash.commit()
    for name, text in FILES.items():
        stash.write(f"tools/t/{name}", f"{text}\n")
    stash.write("tools/t/settings.yaml", "x: 1\napi_key: CANARYfilec77\n")
    stash.write("tools/t/plain.txt", "2\n")
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    return stash


@pytest.mark.slow
def test_a_branch_and_a_file_that_are_called_like_a_secret(watched: StashUnderTest, in_process: InProcess) -> None:
    watched.write("tools/t/CANARYenv2pat.yaml", "password: swordfish\n")
    git("checkout", "-qb", "fix-CANARYenv2pat", cwd=watched.root)
    for words in (["run", "one"], ["run", "one", "code=frozen"]):
        assert in_process(watched, *words).returncode == 0
    for run in watched.run_directories():
        text = (run / "run.json").read_text()
        assert "CANARY" not in text and "fix-<GH_PAT>" in text and "<GH_PAT>.yaml" in text


@pytest.mark.slow
def test_no_canary_is_left(watched: StashUnderTest, in_process: InProcess) -> None:
    stash = watched
    said = [
        stash.cli("run", "one", "debug=true"),
        stash.cli("-m", "+exp=one", "params.n=1,2", "hydra/launcher=local", "code=frozen", FAILS="3"),
    ]
    assert [done.returncode for done in said] == [0, 1]
    for run in stash.run_directories():
        record = json.loads((run / "run.json").read_text())
        assert sorted(record["spec"]["code"]["withheld"]) == sorted(
            f"tools/t/{name}" for name in (*FILES, "settings.yaml")
        )
        assert any("settings.yaml: left out of the patch" in note for note in record["attempt"]["notes"])
        assert "+2" in (run / "tool.patch").read_text()
        log = (run / "output.log").read_text()
        assert "*" * len(CANARIES["HF_TOKEN"]) in log and "postgres://bob:***" in log
        # The tool itself has had all of them.
        assert log.count("*" * len(CANARIES["HF_TOKEN"])) == 3
        said += [in_process(stash, verb, record["id"]) for verb in ("show", "logs")]
        said.append(in_process(stash, "show", "--json", record["id"]))
    said += [in_process(stash, *words) for words in (["runs"], ["list"], ["tool", "list"], ["tool", "show", "t"])]
    assert not [done.args for done in said if "CANARY" in done.stdout + done.stderr]
    left = files_with(["CANARY"], stash.root, except_below=("tools/", "conf/", ".git/"))
    # Frozen code has the file that git tracks as the user has changed it: that is what has run.
    assert {name.rpartition("/")[2] for name in left} == {"settings.yaml: CANARY"}


REFUSED = (
    ["run", "one", "objective=${oc.env:HF_TOKEN}"],
    ["run", "one", "resources.account=${oc.env:GH_PAT}"],
    ["run", "one", "description=${oc.env:GH_PAT}"],
    ["run", "one", "tags=['${oc.env:MY_PASS}']"],
    ["run", "one", "wandb.project=${oc.env:GH_PAT}"],
    ["run", "one", "timeout=${oc.env:GH_PAT}"],
    ["run", "one", "hydra.run.dir=out/${oc.env:GH_PAT}"],
    ["run", "one", "+tool.env.FOO=${oc.env:GH_PAT}"],
    ["run", "one", "params.n=CANARYenv2pat"],
    ["run", "one", "params.n=https%3A%2F%2Fx%2F%3Fp%3DCANARYenv6%2Faws%2Bx"],
    ["run", "one", "params.n=postgres://u:CANARYurl77@h/db"],
    ["run", "one", "+params.password=CANARYparam77"],
    ["-m", "+exp=one", "params.n=1", "+params.db={host: x, password: CANARYparam78}"],
    ["-m", "+exp=one", "params.n=1", "arguments=[--api-key=CANARYparam79]"],
    ["run", "one", "+params.x=${oc.env:DATABASE_URL}", "validate_only=true"],
    ["run", "one", "+params.x=${oc.env:SECRETKEY}", "dry_run=true"],
    ["run", "one", "+hydra.job.env_set.Y=${oc.env:GH_PAT}"],
    ["run", "one", "tool=CANARYenv2pat"],
    ["-m", "+exp=one", "params.n=1", "+vars.api_key=CANARYvar77"],
    ["-m", "+exp=one", "params.n=1", "hydra.sweep.dir=m/${oc.env:GH_PAT}"],
    ["run", "CANARYenv2pat"],
    ["show", "CANARYenv2pat"],
    ["-m", "+exp=one", "params.n=1,CANARYenv2pat"],
    ["tool", "add", "a", "https://h/x?token=CANARYurl1"],
    ["tool", "add", "a", "https://u:CANARYurl2@h/x"],
    ["tool", "add", "a", "https://h/CANARYenv2pat/x"],
    ["tool", "add", "a", "/nowhere/CANARYenv2pat"],
)


@pytest.mark.slow
def test_what_would_be_written_is_refused(watched: StashUnderTest, in_process: InProcess) -> None:
    stash = watched
    for words in REFUSED:
        done = in_process(stash, *words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert "CANARY" not in done.stdout + done.stderr, words
        assert stash.run_directories() == [], words
    for words in (
        ["-m", "+exp=one", "params.n=1,${oc.env:GH_PAT}", "dry_run=true"],
        ["-m", "+exp=one", "params.n=1", "hydra.sweep.subdir=${oc.env:GH_PAT}"],
        ["+exp=one", "params.n=${oc.env:GH_PAT}", "--cfg", "job", "--resolve"],
        ["+exp=one", "nosuch=${oc.env:GH_PAT}"],
    ):
        done = in_process(stash, *words)
        assert "CANARY" not in done.stdout + done.stderr, words
    assert files_with(["CANARY"], stash.root, except_below=("tools/", "conf/", ".git/")) == []
    assert not [path for path in stash.root.rglob("*") if "CANARY" in path.name]

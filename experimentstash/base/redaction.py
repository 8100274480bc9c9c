"""The one door for whatever reaches a record, a log or a message: it knows what is secret there, and replaces it.

Secret is the value of an environment variable whose name says so (HF_TOKEN, MY_PASS), what is secret inside the value
of any other (DATABASE_URL), in each of the forms in which it may be written, and what has the shape of a well-known
token, wherever it comes from. Facts on shapes: https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml.
Not by a library: a job imports this, and detect-secrets takes half a second, wants `requests` and knows no environment.
"""

from __future__ import annotations

import binascii
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from experimentstash.base.errors import SecretError
from experimentstash.base.patterns import regex

# --- names -----------------------------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = regex(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# A variable in whose name one of these is a word holds a secret,
_SECRET_WORDS = _words(
    """
    pass pw pswd psw passwd passwds password passwords passphrase passphrases passcode passkey salt pwd sshpass
    secret secrets token tokens credential credentials cred creds apikey apikeys apitoken pat jwt
    bearer cookie cookies webhook otp totp mnemonic auth authorization key keys sas
    """
)
# and so it does if a word ends with one of these (PGPASSWORD, SECRETKEY, DBPASS),
_SECRET_ENDINGS = (
    *("password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "privatekey", "accesskey"),
    *("credentials", "authkey", "connectionstring", "openaikey", "wandbkey", "mykey", "pass", "pwd"),
)
_HARMLESS_WORDS = _words(
    "pwd oldpwd compass bypass surpass overpass underpass askpass singlepass multipass twopass onepass lowpass highpass"
    " bandpass allpass"
)
# unless the last word says that it is something about one,
_ABOUT_ONE = _words(
    """
    file files filename path paths dir directory folder sock socket url uri urls host hostname port type
    types method mode name names user username expiry expires expiration ttl timeout limit count size len
    length enabled required version provider plugin backend region domain endpoint scheme issuer audience
    parallelism policy prompt manager helper store format encoding algorithm index strategy
    header env column dataset bits dim dimension padding level budget concentration jar root home
    """
)
# or another word that it is one of another kind (MAX_TOKENS, PAD_TOKEN, CACHE_KEY).
_HARMLESS_TOKENS = _words(
    """
    max min num n per new total count special pad eos bos unk mask cls sep stop start end image prompt think
    batch skip ignore add class next prev hidden multi vocab block context train source target control
    """
)
_HARMLESS_KEYS = _words(
    """
    sort primary foreign cache dataset data partition group index lookup config row object dict routing image
    label target feature column batch metric loss split monitor public pub experiment run job prng rng jax
    order map translation hot value query attn attention seed num
    """
)
_HARMLESS_PASSES = _words(
    """
    first second third last low high band all full forward backward single one two both multi num max min render
    """
)


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether an environment variable of this name holds a secret."""
    if name.startswith("EXPERIMENTSTASH_"):  # our own: a part of every run's path is called a token there
        return False
    words = [word.lower() for word in _WORD.findall(name) if not word.isdigit()]
    found = [word for word in words if word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS)]
    if len(words) == 1:
        found = [word for word in found if word not in _HARMLESS_WORDS]
    found = [word for word in found if word == "pwd" or word not in _HARMLESS_WORDS]
    if not found or words[-1] in _ABOUT_ONE:
        return False
    if all(word.startswith("token") for word in found):
        return not _HARMLESS_TOKENS & {*words}
    if found == ["pass"]:
        return not _HARMLESS_PASSES & {*words}
    return not (all(word in ("key", "keys") for word in found) and _HARMLESS_KEYS & {*words})


def is_secret_variable(name: str, value: str) -> bool:
    """Tell whether a variable holds a secret, by its name or by the shape of its value."""
    return is_secret_name(name) or bool(_shapes_in(value))


# --- values ----------------------------------------------------------------------------------------------------------

# Shorter values ("1", "main") would be found everywhere; of this length only whole words are meant.
_SHORTEST = 8
_SHORTEST_WORD = 6
# Values that are no secret though a password may be that bad: in texts they mean something else.
_ORDINARY = _words(
    """
    password passwords passw0rd passwd username postgres postgresql localhost changeme default disabled
    enabled required optional anonymous undefined database disabled notebook root guest admin user test
    secret token none null true false pass passwort mypassword yourpassword
    """
)
# Variables of everybody's, and of what a text may well name.
_OF_EVERYBODY = ("USER", "LOGNAME", "HOME", "HOSTNAME", "SHELL", "PWD", "TERM", "LANG", "USERNAME")
_PLACEHOLDER = regex(r"[*.x?]+|<.*>|\$.*|\{.*\}|%.?\w*|\[.*\]|…|your[-_ ].*", re.IGNORECASE)
# A path with an ending, or one of small letters alone: of random ones, some are large.
_FILE = regex(r"(?:~|\.{1,2})?/[\w./ -]*\.\w{1,10}|(?:~|\.{1,2})?(?:/[a-z0-9._-]+){2,}/?")

_START, _END = "(?<![A-Za-z0-9])", "(?![A-Za-z0-9])"
# How a command is given a password: what has the command in it, its options until then, and the option, or the word.
_COMMANDS = (
    *(
        (mark, rf"{mark}[\w-]*\b[^\n|;]{{0,200}}?\s{option}")
        for mark, option in (
            ("mysql", "-p"),
            ("mariadb", "-p"),
            ("mongo", r"-p\s{0,3}"),
            ("redis-cli", r"(?:-a|--pass)[ =]\s{0,3}"),
            ("curl", r"(?:-u|--user|-U|--proxy-user)[ =]?['\"]?[^\s:'\"]{1,100}:"),
            ("sqlcmd", r"-P\s{0,3}"),
            ("ldapsearch", r"-w\s{1,3}"),
            ("ldapmodify", r"-w\s{1,3}"),
            ("smbclient", r"(?:-U|--user)[ =]?['\"]?[^\s%'\"]{1,100}%"),
            ("docker login", r"-p[ =]?"),
            ("podman login", r"-p[ =]?"),
        )
    ),
    ("sshpass", r"sshpass\s{1,3}(?:-\w\s{1,3})?-p\s{0,3}"),
    ("requirepass", r"requirepass\s{1,9}"),
    ("masterauth", r"masterauth\s{1,9}"),
)
# Well-known tokens: what each is called, what a text with one has in it, and its pattern, in which the group `secret`
# is what is secret, if that isn't all of it. Strict, because what is taken for one is refused.
_SHAPES = (
    (
        "a private key",
        "PRIVATE KEY",
        r"-----BEGIN[ A-Z0-9]{0,40} ?PRIVATE KEY(?: BLOCK)?-----[^-]{0,20000}(?:-----END[ A-Z0-9]{0,60}-----)?",
    ),
    ("a GitHub token", "gh", rf"{_START}gh[pousr]_[A-Za-z0-9]{{36,251}}"),
    ("a GitHub token", "github_pat_", rf"{_START}github_pat_\w{{40,255}}"),
    ("a GitLab token", "gl", rf"{_START}gl(?:pat|dt|ft|soat|rt|imt|ptt|agent|oas|cbt|ffct)-[\w.=-]{{20,300}}"),
    ("a Hugging Face token", "hf_", rf"{_START}hf_[A-Za-z0-9]{{34,40}}{_END}"),
    ("a Hugging Face token", "api_org_", rf"{_START}api_org_[A-Za-z0-9]{{34,40}}{_END}"),
    ("a key of AWS", "IA", rf"{_START}(?:AKIA|ASIA|ABIA)[A-Z0-9]{{16}}{_END}"),
    ("a key of AWS", "ABSK", rf"{_START}ABSK[A-Za-z0-9+/]{{100,280}}={{0,2}}"),
    ("a key of Google's", "AIza", rf"{_START}AIza[\w-]{{35}}(?![\w-])"),
    ("a key of Google's", "ya29.", rf"{_START}ya29\.[\w-]{{30,}}"),
    ("a key of Google's", "GOCSPX-", r"GOCSPX-[\w-]{28}"),
    ("a token of Slack", "xox", r"xox[abeoprs](?:-[A-Za-z0-9]{4,}){2,}"),
    ("a token of Slack", "xapp-", r"xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+"),
    (
        "a webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{20,})",
    ),
    ("a webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d+/[\w-]{20,})"),
    ("a key of Anthropic's", "sk-ant-", r"sk-ant-[a-z]+\d*-[\w-]{20,}"),
    ("a key of OpenAI's", "sk-", rf"{_START}sk-(?:(?:proj|svcacct|admin|or-v1)-[\w-]{{20,}}|[A-Za-z0-9]{{48}}{_END})"),
    *(
        ("a key of Stripe's", mark, rf"{_START}[sr]{mark}[A-Za-z0-9]{{10,99}}")
        for mark in ("k_live_", "k_test_", "k_prod_")
    ),
    ("a token of npm", "npm_", rf"{_START}npm_[A-Za-z0-9]{{36}}{_END}"),
    ("a token of PyPI", "pypi-AgE", r"pypi-AgE[\w-]{40,}"),
    ("a token of Docker's", "dckr_", r"dckr_(?:pat|oat)_[\w-]{27,}"),
    ("a token of DigitalOcean's", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    ("a token of Databricks", "dapi", rf"{_START}dapi[a-f0-9]{{32}}(?:-\d)?{_END}"),
    ("a token of Grafana's", "gl", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,400}"),
    ("a key of SendGrid's", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    ("a key of age", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("a key of W&B", "wandb_v1_", rf"{_START}wandb_v1_\w{{40,}}"),
    ("a token of Linear's", "lin_api_", r"lin_api_[A-Za-z0-9]{40}"),
    ("a token of Notion's", "ntn_", rf"{_START}ntn_\d{{11}}[A-Za-z0-9]{{35}}"),
    ("a token of Replicate's", "r8_", rf"{_START}r8_[A-Za-z0-9]{{37}}{_END}"),
    ("a key of Groq's", "gsk_", rf"{_START}gsk_[A-Za-z0-9]{{40,}}"),
    ("a key of Tailscale's", "tskey-", r"tskey-\w+-[\w-]{12,}"),
    ("a token of Vault's", "hv", rf"{_START}hv[sbr]\.[\w-]{{20,}}"),
    ("a token of Shopify's", "shp", rf"{_START}shp(?:at|ca|pa|ss)_[a-fA-F0-9]{{32}}"),
    ("a key of NVIDIA's", "nvapi-", r"nvapi-[\w-]{60,}"),
    ("a JSON web token", ".ey", r"(?<![\w-])ey[A-Za-z0-9_-]{15,}\.ey[\w/-]{10,}\.[\w/-]{10,}"),
    ("a key of Azure's", "Key=", r"(?:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})"),
    (
        "an authorization",
        "uthorization",
        r"[Aa]uthorization['\"]?\s*[:=]\s*['\"]?(?i:basic|bearer|token)\s+(?P<secret>[\w+/=.~-]{8,})",
    ),
    ("an authorization", "earer ", rf"{_START}[Bb]earer (?P<secret>(?=[\w+/=.~-]*\d)[\w+/=.~-]{{20,}})"),
    *(
        ("a password in a command", mark, rf"{_START}{before}['\"]?(?P<secret>[^\s'\"|;&\\-][^\s'\"|;&\\]{{3,200}})")
        for mark, before in _COMMANDS
    ),
    ("a key of xAI's", "xai-", rf"{_START}xai-[A-Za-z0-9]{{60,}}"),
    ("a key of LangSmith's", "lsv2_", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    ("a key of Langfuse's", "sk-lf-", r"sk-lf-[a-f0-9]{8}-[a-f0-9-]{27}"),
    ("a key of Pinecone's", "pcsk_", rf"{_START}pcsk_\w{{40,}}"),
    ("a key of Tavily's", "tvly-", rf"{_START}tvly-(?:dev-|prod-)?[A-Za-z0-9]{{32}}"),
    ("a key of RunPod's", "rpa_", rf"{_START}rpa_[A-Z0-9]{{40,}}"),
    ("a token of Atlassian's", "ATATT3", r"ATATT3[\w=-]{100,}"),
    ("a token of Figma's", "figd_", rf"{_START}figd_[\w-]{{40}}"),
    (
        "a URL with a password",
        "://",
        r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:'\"]*:(?P<secret>[^\s/?#'\"]+)@(?!sha\d+:)(?=[^\s'\"])",
    ),
    ("a URL with a token", "://", r"https?://(?P<secret>(?=[\w.-]*\d)[\w.-]{16,})@(?=[\w.-])"),
    (
        "a URL with a token",
        "?",
        r"[?&;](?i:(?:(?:access|auth|id|refresh|private|job|api|session|x-amz-security)[_-]?)?(?:token|secret)"
        r"|(?:api|subscription|functions)[_-]?key|client[_-]secret|passw(?:or)?d|passwd|pwd|sig|signature|x-(?:amz|goog)-signature)"
        r"=(?P<secret>[^&;\s'\"#]{6,})",
    ),
)  # fmt: skip


# Characters from which on it is worth while to know which ones there are.
_LONG = 1 << 14


def _shapes_in(text: str) -> list[tuple[str, int, int]]:
    """Return the well-known tokens in a text: what each is, where it begins and where it ends; none within another."""
    found = []
    # A table of numbers has few characters, and so none of most marks: that is seen at once.
    used = {*text} if len(text) > _LONG else None
    for what, mark, pattern in _SHAPES:
        if (used is not None and not used.issuperset(mark)) or mark not in text:
            continue
        compiled = re.compile(pattern)  # when it is needed, and then kept by `re`: most never are
        which = 1 if compiled.groups else 0
        for match in compiled.finditer(text):
            if not (which and is_placeholder(match[1])):
                found.append((what, *match.span(which)))
    found.sort(key=lambda each: (each[1], -each[2]))
    outer: list[tuple[str, int, int]] = []
    for each in found:
        if not outer or each[1] >= outer[-1][2]:
            outer.append(each)
    return outer


def is_ordinary(value: str) -> bool:
    """Tell whether a value is a word that texts are full of, though a password may be that bad."""
    return value.lower() in _ORDINARY


def is_placeholder(value: str) -> bool:
    """Tell whether a value only stands where a secret would."""
    return is_ordinary(value) or _PLACEHOLDER.fullmatch(value) is not None


def is_distinctive(value: str, shortest: int = _SHORTEST) -> bool:
    """Tell whether a value is unlike a word, a number or a path, as most keys and many passwords are."""
    has_both = any(each.isalpha() for each in value) and any(each.isdigit() for each in value)
    return (
        len(value) >= shortest and has_both and not is_placeholder(value) and not any(each.isspace() for each in value)
    )


def is_random(value: str) -> bool:
    """Tell whether a value is as long, and as mixed, as only what a machine has made up is."""
    return is_distinctive(value) and any(map(is_distinctive, re.findall("[A-Za-z0-9]{16,}", value)))


def secrets_in(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the values in ``environment`` that are secrets, with their names: {value: name}."""
    known = {environment.get(name, "") for name in _OF_EVERYBODY}
    found: dict[str, str] = {}
    for name, value in environment.items():
        if len(value) < _SHORTEST_WORD:
            continue
        for secret in _secrets_of(name, value):
            if secret not in known:
                found.setdefault(secret, name)
    return found


@functools.lru_cache(maxsize=1024)
def _secrets_of(name: str, value: str) -> tuple[str, ...]:
    """Return what is secret in the value of one variable. The jobs of a sweep have nearly all of theirs in common."""
    return tuple(_found_in(name, value))


def _found_in(name: str, value: str) -> Iterator[str]:
    if is_secret_name(name) and _is_secret_value(value) and not _is_harmless(name, value):
        yield value
        yield from (part for part in re.split(r"[\s,;]+", value) if part != value and is_distinctive(part))
        if "\n" in value:  # of a key, each line: another file may have it with other margins
            yield from (
                line for line in map(str.strip, value.splitlines()) if len(line) >= 2 * _SHORTEST and line[0] != "-"
            )
    for _, start, end in _shapes_in(value):
        secret = value[start:end]
        if len(secret) >= _SHORTEST:
            yield secret
            yield from _unquoted(secret)
        elif value[start - 1 : start] == ":":  # of a URL; by itself it might be any word
            yield f":{secret}@"
    for match in re.finditer(r"(?i)(?:password|pwd|secret|key|token)\s*=\s*([^;\s]+)", value):  # a connection string
        if is_distinctive(match[1]):
            yield match[1]
    if value[:1] in "{[" and '"' in value:
        yield from _secrets_of_json(value)


# Names that alone say little: then the value has to.
_WEAK_NAMES = _words("auth key keys pat salt sas tokens")


def _is_harmless(name: str, value: str) -> bool:
    """Tell whether a value is a count (TRAIN_TOKENS=20000000) and no password, or a word (KEY=label)."""
    if value.isdigit():
        return re.search("(?i)pass|pw|pin|secret|otp|code", name) is None
    return name.lower() in _WEAK_NAMES and not is_distinctive(value)


def _unquoted(secret: str) -> Iterator[str]:
    if "%" in secret:
        from urllib.parse import unquote

        yield unquote(secret)


def _secrets_of_json(value: str) -> Iterator[str]:
    import json

    def walk(node: object, name: str) -> Iterator[str]:
        if isinstance(node, dict):
            for key, each in node.items():
                yield from walk(each, str(key))
        elif isinstance(node, list):
            for each in node:
                yield from walk(each, name)
        elif isinstance(node, str) and len(node) >= _SHORTEST_WORD:
            yield from _secrets_of(name, node)

    try:
        yield from walk(json.loads(value), "")
    except (ValueError, RecursionError):
        return


def _is_secret_value(value: str) -> bool:
    if is_ordinary(value) or _FILE.fullmatch(value):
        return False
    if len(value) < _SHORTEST:
        return not value.isalpha() and not value.isdigit() and any(map(str.isalpha, value)) and " " not in value
    try:
        return not os.path.exists(value)  # the path of a key file is no secret
    except (ValueError, OSError):
        return True


# --- forms -----------------------------------------------------------------------------------------------------------


def _forms(secret: str) -> set[str]:
    """Return in which ways a secret may be written: quoted for a URL, JSON, YAML, Python or a shell, or encoded."""
    found = {secret}
    if len(secret) < _SHORTEST:
        return found
    import json

    data = secret.encode("utf-8", "surrogateescape")
    found |= {data.hex(), data.hex().upper()}
    for shift in range(3):  # what base64 makes of it depends on what stands before it, as a user's name does
        coded = binascii.b2a_base64(b"\0" * shift + data, newline=False).decode()
        whole = coded[-(-shift * 4 // 3) : (shift + len(data)) * 4 // 3]
        if len(whole) >= _SHORTEST:
            found |= {whole, whole.replace("+", "-").replace("/", "_")}
    if not secret.isalnum() or not secret.isascii():
        quoted = {_url_quoted(data, safe) for safe in (b"", b"/", b"@", b"/:@!$&'()*+,;=")}
        quoted |= {each.replace("%20", "+") for each in quoted}
        found |= quoted | {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), each) for each in quoted}
        found |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
        found |= {json.dumps(json.dumps(secret)[1:-1])[1:-1]}
        found |= {secret.replace("'", with_it) for with_it in ("''", "'\"'\"'", "\\'", "'\\''")}
        found |= {secret.replace("\\", "\\\\"), secret.replace("\n", "\r\n"), secret.replace("$", "\\$")}
        found |= {secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    return found


def _url_quoted(data: bytes, safe: bytes) -> str:
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~" + safe
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in data)


class Known:
    """The secrets of one environment, in all their forms."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        forms: dict[str, str] = {}
        for secret, name in secrets_in(environment).items():
            for form in _forms(secret):
                forms.setdefault(form, name)
        # The longest first: one may contain another.
        ordered = sorted(forms.items(), key=lambda item: -len(item[0]))
        self._forms = [(form, name) for form, name in ordered if len(form) >= _SHORTEST or form[0] == ":"]
        self._words = [(_as_word(form), name) for form, name in ordered if len(form) < _SHORTEST and form[0] != ":"]

    @functools.cached_property
    def as_bytes(self) -> tuple[bytes, ...]:
        """All forms that are long enough to be found in a stream of bytes."""
        return tuple(form.encode("utf-8", "surrogateescape") for form, _ in self._forms)

    def find(self, text: str) -> str | None:
        """Return which secret occurs in a text: a variable's name, or what it looks like."""
        return self.find_value(text) or next((what for what, _, _ in _shapes_in(text)), None)

    def find_value(self, text: str) -> str | None:
        """Return the name of the variable whose value occurs in a text, which may be very long."""
        for form, name in self._forms:
            if form in text:
                return name
        for word, name in self._words:
            if word.search(text):
                return name
        return None

    def redact(self, text: str) -> str:
        """Return a text with each secret replaced."""
        for form, name in self._forms:
            if form in text:
                text = text.replace(form, f"<{name}>")
        for word, name in self._words:
            text = word.sub(f"<{name}>", text)
        for _, start, end in reversed(_shapes_in(text)):
            text = f"{text[:start]}***{text[end:]}"
        return text


def _as_word(secret: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(secret)}(?![\w-])")


_known: list[tuple[object, Known]] = []  # that was asked for last, first
_MOST_KNOWN = 8


def known(environment: Mapping[str, str]) -> Known:
    """Return the secrets of an environment. A sweep asks for each of thousands of jobs, several times."""
    # What os.environ keeps inside, because decoding all of it for each line that is said takes longer than the rest.
    present = getattr(environment, "_data", environment)
    entry = next((each for each in _known if each[0] == present), None) or (dict(present), Known(environment))
    # Each tool has an environment of its own; ours is asked for in between, and stays.
    if not _known or _known[0] is not entry:
        _known[:] = [entry, *(each for each in _known if each is not entry)][:_MOST_KNOWN]
    return entry[1]


def find_secret(texts: Iterable[str], environment: Mapping[str, str]) -> str | None:
    """Return the name of a variable whose secret occurs in one of ``texts``, or what looks like a secret there."""
    # Together, but so that nothing is found across two of them.
    return known(environment).find("\0\n\0".join(texts))


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Return ``text`` with the secrets of ``environment`` replaced by their names, and others by `***`."""
    return known(environment).redact(text)


def contains_secret(found: str, where: str = "A parameter or setting") -> SecretError:
    """Return the error for a secret among what a record keeps; ``found`` is what ``find_secret`` returns."""
    if " " in found:
        return SecretError(
            f"{where} contains what looks like {found}, which would be written into the run's record.",
            "export it under a name of your own (export MY_TOKEN=…), and let the tool read that from its environment",
        )
    return SecretError(
        f"{where} contains the value of ${found}, which would be written into the run's record.",
        f"let the tool read ${found} from its environment, which it inherits"
        f" (if its value is no secret: env -u {found} experimentstash …)",
    )


def is_named_secret(name: str, value: str) -> bool:
    """Tell whether a parameter of this name has a secret for its value; more strictly than for variables.

    In machine learning a `token` is hardly ever one, unless it looks random, and a `key` is none.
    """
    if is_placeholder(value) or value[:1] in "/~" or _FILE.fullmatch(value):
        return False
    if _PASSWORD.search(name):
        return len(value) >= _SHORTEST_PASSWORD
    if _PASS.search(name) and is_of_settings(value):
        return False
    if _SECRET_PARAMETER.search(name):
        return is_distinctive(value, _SHORTEST_WORD)
    last = re.split(r"[./]", name)[-1].strip("-+")
    return last.lower() not in ("key", "keys") and is_secret_name(last) and is_random(value)


# Words of which the values of settings are made: `pass: step12` and `pw: l2_norm` are none of passwords.
_OF_SETTINGS = _words(
    """
    adam adamw avg base batch bert beta bf bit bits block bn class cls conv cos cv d data decay depth dim dp eval epoch
    exp fc fold fp freq gamma gpt grad head init int iter k l large last layer lin linear ln log loss lp lr max mean
    medium min mlp model n net norm p part phase pool pre pretrain q rank relu res resnet rms round run sample seed sgd
    size small split stage std step sum t test tiny top train trial unet v val valid var version vit vgg warmup x xl y z
    """
)
_PARTS = regex(r"[A-Za-z]+|\d+|.")


def is_of_settings(value: str) -> bool:
    """Tell whether a value is made of words that settings have, and of short numbers."""
    parts = [part for part in _PARTS.findall(value) if part not in "_-.,:+/@"]
    return all(part.lower() in _OF_SETTINGS or (part.isdigit() and len(part) <= 4) for part in parts)


_SHORTEST_PASSWORD = 4
# Of parameters a name that may mean something else: then the value tells.
_PASS = regex(r"(?i)(?:^|[._\-/])(?:pass|pwd?)$")
_PASSWORD = regex(r"(?i)(?:^|[._\-/])(?:[a-z]*passw(?:or)?d|passphrase)$")
_SECRET_PARAMETER = regex(
    r"(?i)(?:^|[._\-/])(?:pass|pwd?|secret(?:[_-]?key)?|client[_-]?secret|private[_-]?key"
    r"|(?:[a-z0-9]+[_-]?)?api[_-]?key|(?:auth|access|api|bearer|hf|github|wandb)[_-]?token|access[_-]?key|credentials?)$"
)
# A name and its value: assigned, in a mapping, or of an option. Looked for at each place: values have some inside.
_PAIR = regex(
    r"(?<![\w./-])(?=([\w./-]{1,200})['\"]?\s{0,9}[:=]\s{0,9}['\"]?([^\s,{}\[\]'\"]{1,200}))"
    r"|(?<![\w./-])(?=(--[\w.-]{1,200})['\"]?(?:\s{0,9},\s{0,9}|\s{1,9})['\"]?([^\s,{}\[\]'\"-][^\s,{}\[\]'\"]{0,200}))"
)


def find_named_secret(texts: Iterable[str]) -> str | None:
    """Return the name that says that what a text gives it is a secret: `password=…`, `{api_key: …}`, `--token …`."""
    for text in texts:
        for first, value, option, its_value in _PAIR.findall(text):
            name = first or option
            if is_named_secret(name, value or its_value):
                return str(name).lstrip("-+")
    return None


def literal_secret(variable: str, where: str) -> SecretError:
    """Return the error for a secret that is written out in the configuration."""
    return SecretError(
        f"{where} gives the tool's variable {variable} a value, and secrets must not be written to disk.",
        f"export it in your shell and write `{variable}: ${{oc.env:{variable}}}`",
    )

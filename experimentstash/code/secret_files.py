"""Which files hold secrets, by their names and by what is in them: they have no place in a patch.

The names are those under which programs keep credentials; the content is told by `redaction` and by what is assigned to
a password. A file that is code is looked at more strictly: left out, it makes a run irreproducible.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from experimentstash.base.files import kind_at, read_regular
from experimentstash.base.patterns import regex
from experimentstash.base.redaction import (
    is_distinctive,
    is_of_settings,
    is_placeholder,
    is_random,
    is_secret_name,
    known,
)

# Bytes. What is larger is data, of which the name alone is looked at.
LARGEST_LOOKED_INTO = 1024 * 1024
_SHORTEST_PASSWORD = 6
_NAMES = (
    # variables, and what shells remember
    ".env .env.* *.env .envrc .secrets .secrets.* .*_history",
    # keys
    "id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk id_rsa[._-]* id_ecdsa[._-]* id_ed25519[._-]* *_rsa"
    " *_dsa *_ecdsa *_ed25519 *.pem *.key *.p8 *.p12 *.pfx *.pkcs12 *.jks *.keystore *.kdb *.kdbx *.ppk *.keytab"
    " secring.* *.ovpn krb5cc_* .xauthority",
    # logins
    ".netrc _netrc *.netrc .authinfo* .git-credentials .gitcredentials git-credentials .pgpass pgpass.conf .my.cnf"
    " .mylogin.cnf .htpasswd .smbcredentials .dockercfg .dockerconfigjson .s3cfg .boto .wgetrc .curlrc .msmtprc"
    " .fetchmailrc rclone.conf *.rdp .rhosts",
    # package indexes and services
    ".pypirc .npmrc .yarnrc.yml .gem .databrickscfg .terraformrc terraform.rc *.tfstate *.tfstate.* *.tfvars"
    " *.tfvars.json .vault-token .vault_pass* kaggle.json .comet.config .modal.toml .ngrok.yml ngrok.yml auth.json"
    " .openai .anthropic .huggingface .wandb_api_key wandb.key .neptune",
    # Kubernetes
    "kubeconfig kubeconfig.* *.kubeconfig *-kubeconfig kubeconfig-*",
    # by what they are called
    "deploy_key deploy-key *_deploy_key *-deploy-key netrc htpasswd wandb_api_key",
    "credentials* .credentials* token tokens .token .tokens *.token stored_tokens *_token *-token .*_token .*-token"
    " passwords .passwords password .password *.passwd passwd .passwd *.secret *.secrets apikey api_key .apikey"
    " .api_key *.apikey *.api_key",
)
_PATTERNS = [pattern for line in _NAMES for pattern in line.split()]
# The same, if the file's ending is one of settings, or of a text.
_SETTINGS = tuple(".json .yaml .yml .toml .ini .cfg .conf .xml .csv .txt .env .properties .enc .dat".split())  # noqa: SIM905
_STEMS = (
    "*credential*",
    "*secret*",
    *("service-account*", "service_account*", "serviceaccount*", "*-sa-key", "adc", "oauth*", "*kubeconfig*"),
    *("*password*", "*passwd*", "token", "*_token", "*-token", "wandb_key", "hf_key"),
    *("api_key*", "api-key*", "apikey*", "*_api_key*", "*-api-key*", "*_apikey*"),
    *("*private_key*", "*private-key*", "*access_key*", "*accesskey*"),
)
# Names like these of what isn't secret at all: the token of a transformer's, and what has a longer word in its name.
_IS_DATA = regex(
    r"(?:^|[_-])(?:cls|class|mask|pad|bos|eos|sep|next|prev|hidden|multi|special|register|image|text)[_-]tokens?$"
    r"|secret(?:ar|ion|ome|or)"
)
# Names like these that hold none: examples, public halves, and the vocabularies of language models.
_HARMLESS = (
    *("*.pub", "*.example", "*.sample", "*.template", "*.dist", "*.tmpl", "*.j2", "*.example.*", "*.sample.*"),
    *("*.template.*", "*_example.*", "*-example.*", "special_tokens*", "added_tokens*", "token.csv"),
)
# Files of this ending hold keys, or certificates and what else everybody may read: blocks that say which.
_MAY_BE_PUBLIC = ".pem"
_BLOCK = regex("-----BEGIN ([A-Z0-9 ]{1,60})-----")
_PUBLIC = ("CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "X509 CRL", "DH PARAMETERS", "EC PARAMETERS")
# Of a copy the name without this counts.
_COPY = regex(r"(?:~|\.(?:bak|backup|old|orig|save|sav|swp|swo|\d+))+$|^\.?#|#$")
# What lies in these directories, and in files of these names there.
_FOLDERS = frozenset((".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".kaggle", ".secrets", "secrets"))
_PLACES = ("*.config/gcloud/*", "*.dvc/config.local", "*huggingface/token", "*huggingface/stored_tokens")
_CODE = (
    *(".py", ".pyi", ".ipynb", ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".rs", ".go", ".js", ".ts", ".jl", ".r", ".m"),
    *(".java", ".scala", ".lua", ".md", ".rst"),
)

# A name and what it is given: looked for at each place, since values have some inside (--export=HF_TOKEN=…). In code
# only a text in quotes is a value (in a notebook these are escaped); in settings the rest of the line is one.
# The part from the word on that may say so: there are few of these, and each other place is passed over at once.
_NAME = (
    r"(?=(?P<name>(?i:pass|pw|secret|token|key|auth|cred|jwt|pat|salt|sas|cookie|bearer|otp|webhook|mnemonic)"
    r"[\w-]{0,40})"
)
_QUOTED = regex(
    _NAME + r"(?P<index>\\?['\"]\])?\\?['\"]?\s{0,9}(?::\s{0,9}str\s{0,9})?(?::=|=>|[:=])\s{0,9}\\?"
    r"(?P<quote>['\"])(?P<value>[^'\"\\\s]{6,200})\\?(?P=quote))"
)
_PLAIN = regex(
    _NAME + r"['\"]?\s{0,9}(?::=|=>|[:=>])\s{0,9}(?:[|>]-?\s{1,99})?['\"]?(?P<value>[^\s'\"#,;{}<&]{6,200}))"
)
_WORD_CHARACTERS = regex(r"[\w-]*\Z")
# Names that leave no doubt; of others (key, token) the value must look random, or the name be that of a variable.
_CERTAIN = regex(
    r"(?i)passw(?:or)?d|passphrase|secret|api[_-]?key|auth[_-]?token|access[_-]?token|access[_-]?key|private[_-]?key"
    r"|client[_-]?secret|_authtoken|bearer|api[_-]?token"
)
_VARIABLE = regex("[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_PASSWORD = regex("(?i)passw(?:or)?d|passphrase")
_SHORT_PASSWORD = regex("(?i)(?:^|[_-])(?:pass|pwd?)$")
_WANDB_KEY = regex("[0-9a-f]{40}")
_LOGIN = regex(
    r"(?m)^[ \t]{0,40}(?:machine\s{1,40}\S+|default)(?:\s{1,40}login\s{1,40}\S+)?\s{1,40}password\s{1,40}\S"
    r"|^PuTTY-User-Key-File-|^# Netscape HTTP Cookie|\"auth\"\s*:\s*\"[A-Za-z0-9+/]{8,}={0,2}\""
    r"|\"username\"\s*:\s*\"[^\"]+\",\s*\"key\"\s*:\s*\"[0-9a-f]{32}\""
)
_KUBERNETES = regex(r"(?m)^[ \t]{0,40}(?:client-key-data|client-certificate-data) *: *\S{16}|^kind: *Secret *$")
_KUBERNETES_TOKEN = regex(r"(?m)^[ \t]{0,40}(?:- *)?user: *\n[ \t]*token *: *\S{16}")
_IN_A_COMMAND = regex(
    r"(?:--(?:password|passwd|api[-_]?key|auth[-_]?token|access[-_]?token|token|secret)(?:[ =]|['\"],\s?)"
    r"|\bwandb login (?:--relogin )?)"
    r"['\"]?(?P<value>[^\s'\"]{8,200})"
)
# What only says where a value comes from.
_REFERENCE = regex(
    r"[\w.]+[(\[].*|\$.*|.*\{.*|.*<.*|~?[./]*/.*|(?:os|self|args|cfg|config|env)\.[\w.]+|\w+\.\w+\.[\w.]+"
)


def is_secret_file(path: str) -> bool:
    """Tell whether a file of this name usually holds a secret."""
    *folders, name = path.lower().split("/")
    name = _COPY.sub("", name) or name
    stem, ending = os.path.splitext(name)
    if _is_like(name, _HARMLESS):
        return False
    if ending in _CODE:
        return name.startswith("credentials")
    return (
        _is_like(name, _PATTERNS)
        or (ending in _SETTINGS and _is_like(stem, _STEMS) and not _IS_DATA.search(stem))
        or not _FOLDERS.isdisjoint(folders)
        or _is_like(path.lower(), _PLACES)
    )


def _is_like(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def has_secret(text: str, name: str) -> bool:
    """Tell whether there is a secret in the text, or in a part, of a file of this name."""
    if known(os.environ).find(text) is not None:
        return True
    if any(each.search(text) for each in (_LOGIN, _KUBERNETES, _KUBERNETES_TOKEN)):
        return True
    if any(_is_one(match["value"], is_distinctive) for match in _IN_A_COMMAND.finditer(text)):
        return True
    stem = os.path.splitext(os.path.basename(name))[0]
    if is_secret_name(stem) and is_distinctive(text.strip(), _SHORTEST_PASSWORD):  # there is nothing else in it
        return True
    is_code = name.lower().endswith(_CODE)
    if any(_is_given(_named(each), each["value"], is_code and not each["index"]) for each in _QUOTED.finditer(text)):
        return True
    return not is_code and any(_is_given(_named(each), each["value"], False) for each in _PLAIN.finditer(text))


def _named(found: re.Match[str]) -> str:
    """Return the whole of a name, a part of which was found."""
    before = _WORD_CHARACTERS.search(found.string[max(0, found.start() - 40) : found.start()])
    return (before[0] if before else "") + found["name"]


def _is_given(name: str, value: str, is_code: bool) -> bool:
    """Tell whether a secret is given to a name; in settings, a password may be any word."""
    if not is_secret_name(name):
        return False
    if _PASSWORD.search(name) and not is_code:
        return _is_one(value, lambda text: not is_placeholder(text))
    if _SHORT_PASSWORD.search(name) and is_of_settings(value):
        return False
    if _PASSWORD.search(name) or _SHORT_PASSWORD.search(name):
        return _is_one(value, lambda text: is_distinctive(text, _SHORTEST_PASSWORD))
    if name.lower() in ("key", "keys"):  # anything may be called that
        return _WANDB_KEY.fullmatch(value) is not None
    is_certain = _CERTAIN.search(name) or (_VARIABLE.fullmatch(name) and not is_code)
    return _is_one(value, is_distinctive if is_certain else is_random)


def _is_one(value: str, is_like_it: Callable[[str], bool]) -> bool:
    return is_like_it(value) and not _REFERENCE.fullmatch(value)


def holds_secret(root: Path, path: str) -> bool:
    """Tell whether the file at ``path`` below ``root`` looks like a secret, by its name or by what is in it."""
    is_named_so = is_secret_file(path)
    if is_named_so and not path.lower().endswith(_MAY_BE_PUBLIC):
        return True
    place = root / path
    if kind_at(place) != "a file":
        return is_named_so
    content = b""
    with contextlib.suppress(OSError):
        content = read_regular(place, LARGEST_LOOKED_INTO)
    if is_named_so and not _is_public(content):
        return True
    return any(has_secret(text, path) for text in _as_text(content))


def _is_public(content: bytes) -> bool:
    """Tell whether there are only certificates, and what else everybody may read, in a file of this format."""
    blocks = _BLOCK.findall(content.decode("utf-8", "replace"))
    return bool(blocks) and all(block.endswith(_PUBLIC) for block in blocks)


def _as_text(content: bytes) -> list[str]:
    """Return what may be the text of a file, in whichever encoding Windows has written it."""
    found = [content.decode("utf-8", "surrogateescape")]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        found.append(content.decode("utf-16", "replace"))
    return found

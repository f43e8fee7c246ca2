"""References to model files on a hub: `hf:OWNER/REPO/FILE[@REVISION]`.

Owns the grammar of references and what a hub's refusals mean for the user. Addresses, redirects,
and tokens are huggingface_hub's, which reads `HF_ENDPOINT`, `HF_TOKEN` and its own login.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import httpx2

from edgeroute.catalog.download import Remote
from edgeroute.catalog.unfinished import DownloadFailed
from edgeroute.domain.errors import InvalidRequest, NotFound
from edgeroute.wire.parts import parts_of

PREFIX = "hf:"
_REFERENCE = re.compile(
    r"(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+)"
    r"(?:/(?P<file>[\w./ +-]+\.gguf))?(?:@(?P<revision>[\w./-]+))?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 20
T = TypeVar("T")


class HubFile(NamedTuple):
    """One file of a repository on the hub."""

    repo: str
    file: str
    revision: str | None

    def parts(self) -> list["HubFile"]:
        """All files of its model, first part first."""
        return [self._replace(file=str(part)) for part in parts_of(Path(self.file))]


def parse(reference: str) -> HubFile:
    """Read `hf:OWNER/REPO/FILE[@REVISION]`.

    Raises:
        InvalidRequest: It is malformed, or names no file; says which files there are.
        NotFound: There is no such repository.
        DownloadFailed: The hub cannot be reached.
    """
    match = _REFERENCE.fullmatch(reference.removeprefix(PREFIX))
    if match is None or ".." in reference:
        raise InvalidRequest(
            f"{reference!r} is not a reference to a model file",
            hint="write hf:OWNER/REPO/FILE.gguf, if need be with @REVISION",
        )
    repo = f"{match['owner']}/{match['repo']}"
    if match["file"] is None:
        raise InvalidRequest(f"{reference!r} names no file", hint=_choice(repo, match["revision"]))
    return HubFile(repo, match["file"], match["revision"])


def locate(wanted: HubFile) -> Remote:
    """Ask the hub where a file is, how big, and what it hashes to.

    Raises:
        NotFound: There is no such file, repository or revision, or it is not open to this user.
        DownloadFailed: The hub cannot be reached, or does not tell the file's hash.
    """
    from huggingface_hub import (  # noqa: PLC0415 - slow to import, seldom needed
        get_hf_file_metadata,
        get_token,
        hf_hub_url,
    )

    url = hf_hub_url(wanted.repo, wanted.file, revision=wanted.revision)
    facts = _asked(wanted, lambda: get_hf_file_metadata(url))
    if facts.etag is None or facts.size is None or not _SHA256.fullmatch(facts.etag):
        raise DownloadFailed(
            f"the hub does not tell the sha256 of {wanted.file}",
            hint="download it by hand, then run `edgeroute models link FILE`",
        )
    token = get_token()
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return Remote(url, headers, facts.size, facts.etag)


def _choice(repo: str, revision: str | None) -> str:
    """The model files that a repository has, as a hint."""
    from huggingface_hub import HfApi  # noqa: PLC0415

    listed = HfApi().list_repo_files
    names = _asked(HubFile(repo, "", revision), lambda: listed(repo, revision=revision))
    models = [name for name in names if name.endswith(".gguf")]
    more = "" if len(models) <= _SHOWN else f" and {len(models) - _SHOWN} more"
    return f"{repo} has: {', '.join(models[:_SHOWN])}{more}" if models else f"{repo} has no GGUF"


def _asked(wanted: HubFile, question: Callable[[], T]) -> T:
    """Ask the hub; its refusals become ours."""
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        return question()
    except errors.GatedRepoError as error:
        raise NotFound(
            f"{wanted.repo} is open only to those who accepted its licence",
            hint="accept it on its page, then set HF_TOKEN",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise NotFound(
            f"there is no repository {wanted.repo} that is open to you",
            hint="check its name; for a private one set HF_TOKEN",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotFound(f"{wanted.repo} has no revision {wanted.revision!r}") from error
    except errors.EntryNotFoundError as error:
        hint = f"`edgeroute pull hf:{wanted.repo}` names those that it has"
        raise NotFound(f"{wanted.repo} has no file {wanted.file}", hint=hint) from error
    except errors.HfHubHTTPError as error:
        raise DownloadFailed(f"the hub answered {error.response.status_code}") from error
    except (httpx2.HTTPError, errors.OfflineModeIsEnabled) as error:
        raise DownloadFailed(
            f"the hub cannot be reached: {error}", hint="check the network, then pull again"
        ) from error

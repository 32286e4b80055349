"""The sentences of 401 and 403, in Elasticsearch's wording. Pure functions; the gate decides, this file words it.

Tests: tests/security/test_denial.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from hanse.errors import SecurityError
from hanse.transport.identity import Identity

BASIC_CHALLENGE = 'Basic realm="security", charset="UTF-8"'
API_KEY_CHALLENGE = "ApiKey"
CHALLENGES = (BASIC_CHALLENGE, API_KEY_CHALLENGE)


def unauthenticated(reason: str) -> SecurityError:
    return SecurityError(reason, 401, headers={"WWW-Authenticate": list(CHALLENGES)})


def missing_credentials(uri: str) -> SecurityError:
    return unauthenticated(f"missing authentication credentials for REST request [{uri}]")


def failed_login(username: str, uri: str) -> SecurityError:
    return unauthenticated(f"unable to authenticate user [{username}] for REST request [{uri}]")


def missing_action_credentials(action: str) -> SecurityError:
    return unauthenticated(f"missing authentication credentials for action [{action}]")


def caller_text(identity: Identity) -> str:
    """`user [joe]`, `API key id [x] of user [joe]`, with ` run as [other]` where one user acts as another."""
    login = identity.run_by or identity
    if login.api_key is not None:
        text = f"API key id [{login.api_key.get('id')}] of user [{login.username}]"
    else:
        text = f"user [{login.username}]"
    return f"{text} run as [{identity.username}]" if identity.run_by is not None else text


def roles_text(identity: Identity, found: Sequence[str], missing: Sequence[str]) -> str:
    """The effective roles, and the assigned ones that this cluster does not define. Empty for API keys."""
    if identity.api_key is not None or identity.is_internal:
        return ""
    text = f" with effective roles [{','.join(sorted(found))}]"
    if missing:
        text += f" (assigned roles [{','.join(sorted(missing))}] were not found)"
    return text


def unauthorized(
    action: str,
    identity: Identity,
    *,
    found: Sequence[str] = (),
    missing: Sequence[str] = (),
    indices: Sequence[str] = (),
    restricted: bool = False,
    kind: str = "",
    privileges: Sequence[str] = (),
    note: str = "",
) -> SecurityError:
    """403 for an action. `kind` is cluster or index: which privileges would grant it. `note` ends the sentence."""
    text = f"action [{action}] is unauthorized for {caller_text(identity)}{roles_text(identity, found, missing)}"
    if indices:
        text += f" on {'restricted ' if restricted else ''}indices [{','.join(indices)}]"
    if privileges:
        text += f", this action is granted by the {kind} privileges [{','.join(privileges)}]"
    return SecurityError(f"{text}; {note}" if note else text, 403)


def beyond_ceiling(action: str, identity: Identity, indices: Sequence[str], why: str) -> SecurityError:
    """403 for what the caller's own roles allow and the ceiling of the peer does not."""
    text = f"action [{action}] is unauthorized for {caller_text(identity)}"
    if indices:
        text += f" on indices [{','.join(indices)}]"
    return SecurityError(f"{text}, because {why}", 403)


def unauthorized_run_as(
    action: str, identity: Identity, *, found: Sequence[str], missing: Sequence[str], note: str = ""
) -> SecurityError:
    """403 because the user who logged in may not act as the other. `note` ends the sentence."""
    login = identity.run_by or identity
    text = (
        f"action [{action}] is unauthorized for {caller_text(login)}{roles_text(login, found, missing)}, "
        f"because {caller_text(login)} is unauthorized to run as [{identity.username}]"
    )
    return SecurityError(f"{text}; {note}" if note else text, 403)

"""Turns requests away at the door while as many wait as may.

The same is decided again where a turn is taken. But to be told of it there, a request must have
been read and looked at as if it were served, which costs those who are served their share of the
processor: in a flood nearly all of it.
"""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from rag_pipeline.service.admission import Admission
from rag_pipeline.service.problems import response_to

_TOGETHER_S = 0.1
"""How often refusals are sent, all at once: one by one, each would take the interpreter from those
who search."""
_ANSWERED = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/api/ask")
_OTHERS = ("/v1/", "/api/")


class TurnedAway:
    """Answers 429 in the place of any route that would have to wait and can't.

    It stands outside of what measures requests: who is turned away is counted by the queue alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        admission = _admission(scope)
        if admission is None or not admission.is_full:
            await self._app(scope, receive, send)
        else:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(_TOGETHER_S - now % _TOGETHER_S)
            await response_to(admission.refusal())(scope, receive, send)


def _admission(scope: Scope) -> Admission | None:
    """Who gives the turns for what `scope` asks for; None: it needs none."""
    path = "" if scope["type"] != "http" else scope["path"]
    if not path.startswith(_OTHERS):
        return None
    service = scope["app"].state.service
    found: Admission = service.answering if path in _ANSWERED else service.searching
    return found

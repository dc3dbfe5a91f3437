"""Activates BlockBuster in a server process that a test starts. Python imports this by itself."""

import sys

_ROOT = __file__.rsplit("/tests/", 1)[0]
_pending = sys.stderr is not None  # with a closed standard error, BlockBuster crashes Python


def _activate(event: str, args: object) -> None:
    """Activate it when a server's event loop creates its sockets.

    Not in commands of the client: they do one thing, so blocking delays no other work.
    Not before, because that would import modules that the server imports later.
    """
    global _pending
    server = "wyoming_faster_whisper.app.service" in sys.modules
    if _pending and server and event == "socket.__new__":
        _pending = False
        sys.path.append(_ROOT)
        try:
            from tests.support.blocking import block_buster
        except ModuleNotFoundError:  # an image's own environment, without BlockBuster
            return
        finally:
            sys.path.remove(_ROOT)
        block_buster().activate()


sys.addaudithook(_activate)

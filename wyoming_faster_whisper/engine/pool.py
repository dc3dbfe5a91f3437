"""Pool: the models in the queue, each with its own lifecycle and, while it is replaced, versions.

The default model is loaded at the start, then the others, one after the other. If idle models
are unloaded, the others are loaded only when they are needed first, and each is unloaded alone.
If the files of a model are replaced, the new version is loaded while the old one serves.
Utterances that began before that go on with the old version, which is freed once it has not been
used for a while.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ..errors import NoMemory, ServerError
from .lifecycle import Lifecycle, ModelState
from .protocol import Engine, Job
from .recognizer import Loader
from .timing import Timing

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Version:
    """One version of a model: what was loaded from its files at one time."""

    name: str  # of the model
    since: float  # time from which utterances use it, on the loop's clock
    files: Hashable = None  # version of the files; None = unknown
    lifecycle: Lifecycle = field(init=False)
    last_used: float = float("-inf")  # on the loop's clock


@dataclass(slots=True)
class _Model:
    """A model of the pool."""

    loader: Loader
    versions: list[Version]  # in the order in which they were loaded; the last serves
    coming: Version | None = None  # being loaded, to replace the last
    found: Hashable = None  # version of the files at the last check
    rejected: Hashable = None  # version of the files that could not be loaded
    checking: bool = False


class Pool:
    """The models. Create it, and call its methods, in the event loop.

    Args:
        loaders: the loaders by model name; the first model is the default.
        timing: of all models.
        busy: tells whether a job of a version waits or is decoded; of None, a job of any.
        on_ready: called whenever a model has become READY.
        on_error: called with the reason when the jobs that wait for a version cannot be decoded.
    """

    def __init__(
        self,
        loaders: Mapping[str, Loader],
        timing: Timing,
        *,
        busy: Callable[[Version | None], bool],
        on_ready: Callable[[], None],
        on_error: Callable[[Version, ServerError], None],
    ) -> None:
        self._timing = timing
        self._busy = busy
        self._on_ready = on_ready
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._models = {
            name: _Model(loader, [self._version(name, loader, lazy=at > 0)])
            for at, (name, loader) in enumerate(loaders.items())
        }
        self._default = next(iter(self._models.values()))
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def states(self) -> dict[str, ModelState]:
        """The state of each model, the default first."""
        return {name: one.versions[-1].lifecycle.state for name, one in self._models.items()}

    @property
    def engines(self) -> list[Engine]:
        """The engines that are READY."""
        engines = (
            version.lifecycle.engine for one in self._models.values() for version in one.versions
        )
        return [engine for engine in engines if engine is not None]

    def version_of(self, job: Job) -> Version:
        """Return the version that decodes a job: the one that served when its utterance began."""
        versions = self._models.get(job.options.model, self._default).versions
        earlier = [version for version in versions if version.since <= job.utterance_began]
        return earlier[-1] if earlier else versions[0]

    def start(self) -> None:
        """Load the default model."""
        self._default.versions[-1].lifecycle.start()
        if any(one.loader.version for one in self._models.values()):
            self._check_later()

    def use(self, name: str = "") -> None:
        """Note that a client needs a model, and load it unless it is loaded.

        Args:
            name: name of the model; "" = the default.
        """
        for one in self._models.values():
            one.versions[-1].lifecycle.used()  # no measurement while any model is needed
        self._models.get(name, self._default).versions[-1].lifecycle.use()

    async def ready(self) -> None:
        """Wait until the default model is loaded, or another one if that cannot be loaded.

        Raises:
            ServerError: no model can be loaded; the reason of the first.
        """
        errors: list[ServerError] = []
        for name, one in self._models.items():
            lifecycle = one.versions[-1].lifecycle
            try:
                if lifecycle.state is ModelState.UNLOADED:
                    lifecycle.use()
                await lifecycle.ready()
            except ServerError as error:
                errors.append(error)
                if len(self._models) > 1:
                    _LOGGER.error("Model %s cannot be used: %s", name, error)
            else:
                return
        raise errors[0]

    async def failed(self) -> None:
        """Wait until every model is LOST for a reason other than close(); usually forever.

        Raises:
            ServerError: always; the reason of the last one.
        """
        await asyncio.shield(self._lost)

    def close(self) -> None:
        """Stop all threads after their current batches, without waiting."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for one in self._models.values():
            for version in (*one.versions, *([one.coming] if one.coming else [])):
                version.lifecycle.close()

    def _version(self, name: str, loader: Loader, *, lazy: bool) -> Version:
        version = Version(name, self._loop.time())

        def load() -> Engine:  # in a thread
            find = loader.version or (lambda: None)
            version.files = find()  # before they are read, so that no change is missed
            engine = loader.load()
            if version.files is None:
                version.files = find()  # the load has downloaded them
            return engine

        version.lifecycle = Lifecycle(
            load,
            self._timing,
            busy=partial(self._busy, version),
            any_busy=partial(self._busy, None),
            on_ready=partial(self._version_ready, version),
            on_error=partial(self._version_failed, version),
            lazy=lazy,
            name=name,
        )
        return version

    def _version_ready(self, version: Version) -> None:
        model = self._models[version.name]
        if version is model.coming:
            model.coming = None
            version.since = self._loop.time()
            model.versions.append(version)
            _LOGGER.info("Model %s: switched to its new files", version.name)
        self._on_ready()
        self._load_next()

    def _load_next(self) -> None:
        """Load one of the models that are not loaded, unless they are loaded when needed."""
        lifecycles = [one.versions[-1].lifecycle for one in self._models.values()]
        if self._timing.unload_after or self._closed:
            return
        if not any(one.state is ModelState.LOADING for one in lifecycles):
            idle = (one for one in lifecycles if one.state is ModelState.UNLOADED)
            if (following := next(idle, None)) is not None:
                following.start()

    def _version_failed(self, version: Version, error: ServerError) -> None:
        if version is self._models[version.name].coming:
            self._new_files_failed(version, error)
            return
        self._on_error(version, error)
        if self._closed:
            return
        if version.lifecycle.state is ModelState.LOST:
            self._load_next()
        states = self.states.values()
        if all(state is ModelState.LOST for state in states) and not self._lost.done():
            self._lost.set_exception(error)
            self._lost.exception()  # asyncio warns of an exception that is never retrieved

    # Replacement of a model's files.

    def _check_later(self) -> None:
        if self._timing.check_files:
            self._timer = self._loop.call_later(self._timing.check_files, self._check)

    def _check(self) -> None:
        for name, model in self._models.items():
            self._retire(model)
            if model.loader.version is not None and not model.checking:
                model.checking = True
                threading.Thread(
                    target=self._find_version, args=(name, model.loader.version), daemon=True
                ).start()
        self._check_later()

    def _find_version(self, name: str, version: Callable[[], Hashable]) -> None:
        """Find the version of the files, in a thread: their disk may be slow."""
        found = version()
        try:
            self._loop.call_soon_threadsafe(self._found_version, name, found)
        except RuntimeError:  # the event loop has closed
            _LOGGER.debug("the loop closed while files were checked")

    def _found_version(self, name: str, found: Hashable) -> None:
        model = self._models[name]
        model.checking = False
        serving = model.versions[-1]
        # Files that are still being written change between two checks.
        settled = found == model.found
        model.found = found
        if found is None or not settled or found in (serving.files, model.rejected):
            return
        if serving.files is None or model.coming is not None:
            return  # the first load, or the one in progress, reads the new files
        if serving.lifecycle.state is ModelState.LOADING:
            return
        _LOGGER.info("Model %s: loading its new files", name)
        version = self._version(name, model.loader, lazy=False)
        if serving.lifecycle.state is ModelState.READY:
            model.coming = version
        else:  # unloaded or lost: the old version cannot keep serving
            model.versions.append(version)
        version.lifecycle.start()

    def _new_files_failed(self, version: Version, error: ServerError) -> None:
        model = self._models[version.name]
        model.coming = None
        if not isinstance(error, NoMemory):  # else the next check tries again
            model.rejected = version.files
        _LOGGER.error(
            "Model %s: its new files cannot be used, keeping the old ones: %s",
            version.name,
            error,
        )

    def _retire(self, model: _Model) -> None:
        """Free the old versions that no utterance uses."""
        now = self._loop.time()
        for version in model.versions[:-1]:
            if self._busy(version):
                version.last_used = now
            elif now - max(version.last_used, model.versions[-1].since) >= self._timing.retire:
                model.versions.remove(version)
                version.lifecycle.close()
                _LOGGER.info("Model %s: its old files are no longer used", version.name)

"""Puts the service together from its settings, in order, and takes it apart in the reverse order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from models.bundle import Bundle, read_bundle
from models.calibration import Calibration, read_calibration
from service.api.catalog_probe import CatalogProbe
from service.api.gatekeeper import Gatekeeper
from service.api.rate_limit import RateLimit
from service.embedding.batcher import Batcher
from service.embedding.embedder import BundleEmbedder
from service.embedding.engine import Engine
from service.gallery import Galleries
from service.gallery.generation import Previous
from service.gallery.parts import Parts
from service.index.gpu import GpuFlats
from service.index.local import LocalIndex
from service.index.options import IndexOptions
from service.mending import Mender
from service.metrics import Metrics
from service.overlays import Overlays
from service.reindexing import Reindexer
from service.retention import Sweeper
from service.settings import Settings
from service.storage.audit import AuditTrail
from service.storage.breaker import CircuitBreaker
from service.storage.cache import FeatureCache
from service.storage.catalog import Catalog
from service.storage.keys import Keys
from service.storage.memory import MemoryCache
from service.storage.pictures import PictureStore
from service.storage.redis import RedisCache
from service.storage.snapshots import Snapshots, remove_snapshots

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assembly:
    """The running parts that the routers speak to."""

    settings: Settings
    metrics: Metrics
    catalog: Catalog
    catalog_probe: CatalogProbe
    engine: Engine
    batcher: Batcher
    previous_batcher: Batcher | None
    embedder: BundleEmbedder
    galleries: Galleries
    overlays: Overlays
    reindexer: Reindexer
    gatekeeper: Gatekeeper
    audit: AuditTrail | None
    calibration: Calibration | None

    async def parts_ready(self) -> dict[str, bool]:
        """Which parts would serve a request now: the models' workers, the catalog, the index, kept pictures.

        An index that is behind answers queries, perhaps without the last change, and others are refused.
        Where files of what was erased are still to be removed, the picture store is away or refuses.
        What is found here, the metrics say too; :func:`are_ready` says whether it is enough.
        """
        catalog = not self.catalog.lost and await self.catalog_probe.answers()
        parts = {
            "model": self.batcher.ready,
            "catalog": catalog,
            "index": not self.galleries.behind,
            "pictures": not self.galleries.pictures_owed,
        }
        if self.previous_batcher is not None:
            parts["previous_model"] = self.previous_batcher.ready
        self.metrics.ready.set(are_ready(parts))
        return parts


_IN_NO_QUERYS_WAY: Final = frozenset({"pictures"})
"""Parts without which queries are answered: for their sake nobody is to be sent elsewhere."""


def are_ready(parts: Mapping[str, bool]) -> bool:
    """Whether requests should be sent here, given which parts would serve one."""
    return all(ready or name in _IN_NO_QUERYS_WAY for name, ready in parts.items())


@dataclass(frozen=True, slots=True)
class _Before:
    """The previous model, with its own worker."""

    batcher: Batcher
    embedder: BundleEmbedder
    generation: Previous


async def _engine(bundle: Bundle, settings: Settings, metrics: Metrics, generation: str) -> Engine:
    engine = await asyncio.to_thread(
        Engine,
        bundle,
        settings.provider,
        settings.inference_threads,
        settings.max_batch,
        settings.data_dir / "engines",
        settings.inference_lanes,
    )
    metrics.model.labels(generation, bundle.metadata.name, bundle.fingerprint, engine.provider).set(1)
    return engine


async def _embedder(
    engine: Engine, cache: FeatureCache, settings: Settings, metrics: Metrics, stack: AsyncExitStack
) -> tuple[Batcher, BundleEmbedder]:
    batcher = Batcher(engine, metrics, max_rows=settings.max_batch, lanes=engine.lanes)
    await batcher.start()
    stack.push_async_callback(batcher.close)
    embedder = BundleEmbedder(
        engine.bundle,
        batcher,
        cache,
        metrics,
        decode_threads=settings.decode_threads,
        queue_limit=settings.queue_limit,
        deadline_s=settings.deadline_s,
        max_picture_bytes=settings.max_picture_bytes,
        max_pixels=settings.max_pixels,
        small_on_loop=engine.provider == "cpu",
    )
    stack.callback(embedder.close)
    return batcher, embedder


async def _previous(
    present: Bundle,
    catalog: Catalog,
    cache: FeatureCache,
    settings: Settings,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> _Before | None:
    """The previous model, where the settings name one and a gallery waits for it."""
    if settings.previous_bundle is None:
        return None
    bundle = await asyncio.to_thread(read_bundle, settings.previous_bundle)
    waiting = await asyncio.to_thread(catalog.previous.answerable, bundle.fingerprint, present.fingerprint)
    if bundle.fingerprint == present.fingerprint or not waiting:
        log.info("the previous model answers for no gallery: PENUMBRA_PREVIOUS_BUNDLE can be left out")
        return None
    batcher, embedder = await _embedder(
        await _engine(bundle, settings, metrics, "previous"), cache, settings, metrics, stack
    )
    index = LocalIndex(bundle.metadata.dimension, _index_options(settings))
    return _Before(batcher, embedder, Previous(embedder, index, bundle.metadata.calibration))


def _index_options(settings: Settings) -> IndexOptions:
    flat_up_to = None if settings.index == "flat" else settings.index_flat_up_to
    return IndexOptions(flat_up_to, settings.index_bits, settings.index_share)


@asynccontextmanager
async def assemble(
    settings: Settings, metrics: Metrics, on_catalog_lost: Callable[[], None] = lambda: None
) -> AsyncIterator[Assembly]:
    """Everything started and warm; on leaving, what was accepted is finished before a part closes.

    Args:
        on_catalog_lost: see :meth:`service.storage.catalog.Catalog.claim`.

    Raises:
        FileNotFoundError, models.bundle.BundleError: the bundle.
        models.calibration.CalibrationError: the calibration beside it.
        service.embedding.engine.ProviderError: the provider.
        service.storage.schema.CatalogError, sqlalchemy.exc.SQLAlchemyError: the catalog; or another service
            runs on it, and then nothing of what is stored was changed.
    """
    async with AsyncExitStack() as stack:
        bundle = await asyncio.to_thread(read_bundle, settings.bundle)
        calibration = bundle.metadata.calibration
        if settings.calibration is not None:
            calibration = await asyncio.to_thread(read_calibration, settings.calibration, bundle.fingerprint)
        engine = await _engine(bundle, settings, metrics, "present")

        cache: FeatureCache
        breaker = CircuitBreaker()
        if settings.redis_url is None:
            cache = MemoryCache(settings.cache_bytes)
        else:
            cache = RedisCache(
                settings.redis_url, settings.cache_ttl_s, on_fault=metrics.cache_faults.inc, breaker=breaker
            )
        stack.push_async_callback(cache.close)

        # before anything is touched that another service may hold
        catalog = await asyncio.to_thread(
            Catalog.claimed, settings.catalog_url, settings.catalog_rewrite_bytes, on_catalog_lost
        )
        stack.callback(catalog.close)
        catalog_probe = CatalogProbe(catalog.database)
        stack.callback(catalog_probe.close)

        rate_limit = None
        if settings.rate_limit is not None:
            rate_limit = RateLimit(settings.rate_limit, settings.redis_url)
        gatekeeper = Gatekeeper(
            Keys(catalog.database),
            rate_limit,
            RateLimit(settings.refusal_limit, None, "refused requests"),
            anonymous=settings.anonymous_may_ask,
            deadline_s=settings.deadline_s,
        )
        stack.callback(gatekeeper.close)
        audit: AuditTrail | None = None
        if settings.audit:
            audit = await asyncio.to_thread(AuditTrail, catalog.database, metrics.audit_faults.inc)
            audit.start()
            stack.push_async_callback(audit.close)

        batcher, embedder = await _embedder(engine, cache, settings, metrics, stack)
        before = await _previous(bundle, catalog, cache, settings, metrics, stack)
        embedders = [embedder] if before is None else [embedder, before.embedder]
        metrics.watch_queue(lambda: sum(one.in_work for one in embedders))

        pictures = await asyncio.to_thread(PictureStore, settings.pictures_url, catalog.id, catalog.about)
        dimension = bundle.metadata.dimension
        snapshots: Snapshots | None = None
        folder = settings.data_dir / "snapshots"
        if settings.snapshots:
            snapshots = Snapshots(folder, catalog, bundle.fingerprint, dimension)
            stack.push_async_callback(asyncio.to_thread, snapshots.close)
        else:
            await asyncio.to_thread(remove_snapshots, folder)
        gpu = await asyncio.to_thread(GpuFlats.of_this_machine, dimension, metrics.gpu_faults.inc)
        index = LocalIndex(dimension, _index_options(settings), gpu)
        log.info("index: %s", index)
        generation = None if before is None else before.generation
        galleries = Galleries(
            Parts(
                catalog,
                index,
                embedder,
                pictures,
                calibration,
                snapshots,
                generation,
                settings.deadline_s,
                cache.shared,
            )
        )
        stack.push_async_callback(galleries.close)
        metrics.watch_debts(lambda: galleries.owes, lambda: breaker.open)
        await galleries.start()
        if snapshots is not None:
            snapshots.start()
        reindexer = Reindexer(catalog, galleries, bundle.fingerprint)
        stack.push_async_callback(reindexer.close)
        await reindexer.resume()
        mender = Mender(galleries)
        mender.start()
        stack.push_async_callback(mender.close)
        sweeper = Sweeper(catalog, galleries, audit, settings.audit_days)
        sweeper.start()
        stack.push_async_callback(sweeper.close)

        log.info("serving %s (%s)", bundle.metadata.name, bundle.fingerprint[:12])
        yield Assembly(
            settings,
            metrics,
            catalog,
            catalog_probe,
            engine,
            batcher,
            None if before is None else before.batcher,
            embedder,
            galleries,
            Overlays(engine, galleries.pictures, settings.max_pixels, settings.deadline_s),
            reindexer,
            gatekeeper,
            audit,
            calibration,
        )
        log.info("stopping: what was accepted is finished first")


def assembly_of(state: object) -> Assembly:
    """The assembly that the application's lifespan left in ``app.state``."""
    assembly = getattr(state, "assembly", None)
    assert isinstance(assembly, Assembly), "the application's lifespan has not started"
    return assembly

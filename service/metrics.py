"""What the service counts and times, for Prometheus. One object, on a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from service.storage.records import GalleryRecord

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COUNTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """All of the service's metrics. A test makes its own; nothing is global."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self.requests: Final = Counter(
            "penumbra_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds: Final = Histogram(
            "penumbra_request_seconds",
            "From a request's first byte to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds: Final = Histogram(
            "penumbra_stage_seconds",
            "Time in one stage: decode, queue and embed for each picture, search for each query.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.decode_seconds: Final = self.stage_seconds.labels("decode")
        self.queue_seconds: Final = self.stage_seconds.labels("queue")
        self.embed_seconds: Final = self.stage_seconds.labels("embed")
        self.search_seconds: Final = self.stage_seconds.labels("search")
        self.batch_pictures: Final = Histogram(
            "penumbra_batch_pictures", "Pictures in one batch.", buckets=_COUNTS, registry=self.registry
        )
        self.batch_rows: Final = Histogram(
            "penumbra_batch_rows",
            "Rows in one batch: pictures times the occlusion codes asked for.",
            buckets=_COUNTS,
            registry=self.registry,
        )
        self.queue_depth: Final = Gauge(
            "penumbra_queue_depth", "Pictures that wait to be decoded or embedded.", registry=self.registry
        )
        self.cache_lookups: Final = Counter(
            "penumbra_cache_lookups",
            "Lookups in the feature cache; partial: found, but not under every code asked for.",
            ("result",),
            registry=self.registry,
        )
        self.cache_faults: Final = Counter(
            "penumbra_cache_faults",
            "Times the feature cache did not answer and was passed over.",
            registry=self.registry,
        )
        self.gpu_faults: Final = Counter(
            "penumbra_gpu_faults",
            "Times FAISS on a GPU failed; the index is searched on the CPU from then on.",
            registry=self.registry,
        )
        self.audit_faults: Final = Counter(
            "penumbra_audit_faults",
            "Times the audit trail could not be written and was tried again.",
            registry=self.registry,
        )
        self.picture_faults: Final = Counter(
            "penumbra_picture_faults",
            "Pictures that failed, by the slug of their problem.",
            ("fault",),
            registry=self.registry,
        )
        self.worker_restarts: Final = Counter(
            "penumbra_worker_restarts", "Times the embedding worker died.", registry=self.registry
        )
        self.ready: Final = Gauge(
            "penumbra_ready", "1 while /readyz answers that the service is ready.", registry=self.registry
        )
        self.model: Final = Gauge(
            "penumbra_model",
            "Always 1; the labels say which model is served, present or previous, and where it is computed.",
            ("generation", "name", "fingerprint", "provider"),
            registry=self.registry,
        )
        self.erasures_owed: Final = Gauge(
            "penumbra_erasures_owed",
            "1 while a rest of something erased or changed may still lie in files, index or cache.",
            registry=self.registry,
        )
        self.cache_left_alone: Final = Gauge(
            "penumbra_cache_left_alone",
            "1 while Redis is left alone, since it did not answer (an open circuit breaker).",
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Read the queue's depth from ``depth`` whenever the metrics are asked for."""
        self.queue_depth.set_function(depth)

    def watch_debts(self, owes: Callable[[], bool], cache_left_alone: Callable[[], bool]) -> None:
        """Ask whenever the metrics are asked for."""
        self.erasures_owed.set_function(owes)
        self.cache_left_alone.set_function(cache_left_alone)

    def text(self, galleries: Iterable[GalleryRecord], reindexing: Collection[str]) -> bytes:
        """Everything in Prometheus' text format.

        Args:
            galleries: those that whoever asks may know of.
            reindexing: names of those that are being brought to the present model; others may be among them.
        """
        sizes = CollectorRegistry()
        images, people, pending, under_way = (
            Gauge(f"penumbra_gallery_{name}", about, ("gallery",), registry=sizes)
            for name, about in (
                ("images", "Pictures in a gallery."),
                ("people", "People in a gallery."),
                ("pending_images", "Pictures of a gallery that wait for the present model's features."),
                (
                    "reindexing",
                    "1 while a gallery is being brought to the present model, which pending tells.",
                ),
            )
        )
        for gallery in galleries:
            images.labels(gallery.name).set(gallery.images)
            people.labels(gallery.name).set(gallery.people)
            pending.labels(gallery.name).set(gallery.pending)
            under_way.labels(gallery.name).set(gallery.name in reindexing)
        return generate_latest(self.registry) + generate_latest(sizes)

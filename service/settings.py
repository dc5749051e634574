"""All settings of the service, in one frozen object. This module alone reads the environment.

Every field may be given as an environment variable with the prefix ``PENUMBRA_`` (``PENUMBRA_PORT=9000``)
or as an argument. Variables that are empty count as not set, e.g. ``PENUMBRA_REDIS_URL=`` in an ``.env``.
Variables with the prefix that name no setting are ignored by pydantic-settings, so a start tells of them
(:func:`not_settings`); arguments that name none are errors.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from limits import parse
from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import models
from service.cores import usable_cores

Provider = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]

MEBIBYTE: Final = 1024 * 1024

_PREFIX: Final = "PENUMBRA_"
_OF_COMMANDS: Final = frozenset({"PENUMBRA_KEY", "PENUMBRA_URL"})
"""What client and commands read, about a service that may be another."""


def _shipped_bundle() -> Path:
    return Path(models.__file__).parent / "weights" / "oamn-osnet_x0_5-market1501-cuhk03.onnx"


def _sqlite_under_data_dir(data: dict[str, Any]) -> str:
    return f"sqlite:///{Path(data['data_dir']).absolute() / 'catalog.sqlite3'}"


def _catalog_is_elsewhere(data: dict[str, Any]) -> bool:
    return not str(data["catalog_url"]).startswith("sqlite")


def _folder_under_data_dir(data: dict[str, Any]) -> str:
    return (Path(data["data_dir"]).absolute() / "pictures").as_uri()


def _a_rate(rate: str) -> str:
    try:
        counted = parse(rate)
    except ValueError as error:
        raise ValueError(f"{rate!r} is no rate such as '600/minute'") from error
    if counted.amount < 1 or counted.multiples < 1:
        raise ValueError(f"{rate!r} lets nobody in")
    return rate


Rate = Annotated[str, AfterValidator(_a_rate)]


def _addresses(text: str) -> str:
    for one in text.split(",") if text.strip() else ():
        try:
            network = ipaddress.ip_network(one.strip())
        except ValueError as error:
            raise ValueError(
                f"{one.strip()!r} is no address such as 10.0.0.2 and no network such as 10.0.0.0/24: {error}"
            ) from error
        if network.prefixlen == 0:
            raise ValueError(f"{one.strip()!r} is everybody: then each caller could choose its address")
    return text


Addresses = Annotated[str, AfterValidator(_addresses)]


def _a_redis(url: str) -> str:
    form = urlsplit(url)
    where = form.path if form.scheme == "unix" else _host_of(form)
    if form.scheme not in ("redis", "rediss", "unix") or not where:
        raise ValueError("it is no address such as redis://localhost:6379/0, rediss://… or unix:///path")
    return url


def _a_catalog(url: str) -> str:
    scheme, there, _ = url.partition("://")
    if not there:  # nor is it repeated, for it may have a password
        raise ValueError(
            "it is no address such as sqlite:////absolute/path or postgresql+psycopg://user@host/database"
        )
    if scheme in ("postgres", "postgresql"):
        raise ValueError(f"{scheme}:// names no driver: write postgresql+psycopg://…")
    if scheme not in ("sqlite", "postgresql+psycopg"):
        raise ValueError(
            f"{scheme!r} is neither sqlite (sqlite:////absolute/path) nor postgresql+psycopg "
            "(postgresql+psycopg://user@host/database)"
        )
    return url


def _an_endpoint(url: str) -> str:
    form = urlsplit(url)
    if form.scheme not in ("http", "https") or not _host_of(form):
        raise ValueError("it is no address such as http://127.0.0.1:4318")
    return url


def _host_of(form: SplitResult) -> str | None:
    """The host, where the port, if any, is one."""
    try:
        return form.hostname if form.port != 0 else None
    except ValueError:
        return None


class Settings(BaseSettings):
    """The service's settings. Frozen: what was read at start holds until the process ends."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    # The model
    bundle: Path = Field(
        default_factory=_shipped_bundle,
        description="The model: a bundle written by `penumbra-train export`.",
    )
    previous_bundle: Path | None = Field(
        default=None,
        description="The model that was served before: it answers for a gallery until that is reindexed.",
    )
    calibration: Path | None = Field(
        default=None,
        description="What the model's scores mean, from `penumbra-train calibrate --json-out` on this "
        "bundle; the bundle's own calibration unless given.",
    )
    provider: Provider = Field(
        default="auto",
        description="Where ONNX Runtime computes. auto: the first installed of tensorrt, cuda, openvino, "
        "cpu. A provider named here that is not installed stops the start; there is no silent fall-back.",
    )
    inference_threads: int = Field(
        default_factory=usable_cores, ge=1, description="Threads that compute on the CPU, in all."
    )
    inference_lanes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Batches that run at a time on the CPU; the threads are shared out among them.",
    )

    # Where it listens
    host: str = Field(default="127.0.0.1", description="Address to bind to.")
    port: int = Field(default=8321, ge=0, le=65535, description="Port to bind to; 0 takes a free one.")
    allow_anonymous: bool = Field(
        default=False,
        description="Bind to an address that other machines can reach although nobody is asked for a key.",
    )
    anonymous_hosts: str = Field(
        default="",
        description="Names by which a service that asks nobody for a key may be asked, divided by commas: "
        "localhost,penumbra. Unless given, localhost where this machine alone can reach it, and any name "
        "with allow_anonymous: then each web page that a browser shows may have a name that points here.",
    )
    trusted_proxies: Addresses = Field(
        default="",
        description="Addresses and networks of reverse proxies, divided by commas: 10.0.0.2,fd00::/64. The "
        "caller's address is read from their X-Forwarded-For, which they must set or add to, and from nobody "
        "else's. Where there are any, a key is needed on loopback too.",
    )
    public_metrics: bool = Field(
        default=False,
        description="Show /metrics, which names galleries, without a key.",
    )
    docs: bool = Field(
        default=True,
        description="Serve the API's page and description, /docs and /openapi.json: to everybody, with or "
        "without a key; they say which calls there are, and nothing of what is stored.",
    )
    rate_limit: Rate | None = Field(
        default=None,
        description="How often one key (without keys: one address, of IPv6 a /64) may ask, e.g. "
        '"600/minute"; beyond: 429.',
    )
    refusal_limit: Rate = Field(
        default="100/minute",
        description="How many calls of one address (of IPv6: of one /64) are refused with 401, or of one key "
        "with 403; beyond, such calls get 429. Each process counts for itself.",
    )

    # What is kept
    data_dir: Path = Field(
        default=Path("penumbra-data"), description="Folder of everything the service stores by default."
    )
    catalog_url: Annotated[str, AfterValidator(_a_catalog)] = Field(
        default_factory=_sqlite_under_data_dir,
        description="SQLAlchemy URL of the catalog; SQLite in data_dir unless given.",
    )
    catalog_rewrite_bytes: int = Field(
        default=512 * MEBIBYTE,
        ge=0,
        description="PostgreSQL: after an erasure, those of its tables' parts that it touched are written "
        "anew, each locked meanwhile: nothing of what was erased is then in their files. Parts that are "
        "larger than this are vacuumed, and keep erased bytes until others are written over them.",
    )
    pictures_url: str = Field(
        default_factory=_folder_under_data_dir,
        description="fsspec URL of the folder where galleries that keep pictures put them.",
    )
    snapshots: bool = Field(
        default_factory=_catalog_is_elsewhere,
        description="Keep the index's features in data_dir/snapshots too: a start from a catalog on another "
        "machine is quicker, and features take twice the disk. Off unless given where the catalog is SQLite.",
    )
    redis_url: Annotated[str, AfterValidator(_a_redis)] | None = Field(
        default=None, description="Redis for the feature cache; without it the cache is in this process."
    )
    cache_bytes: int = Field(
        default=256 * MEBIBYTE, ge=0, description="Size of the in-process feature cache, bytes."
    )
    cache_ttl_s: int = Field(
        default=7 * 24 * 3600, ge=1, description="How long Redis keeps a picture's features, seconds."
    )

    audit: bool = Field(
        default=True, description="Keep an audit trail: who enrolled, queried, read or erased what."
    )
    audit_days: int = Field(
        default=365, ge=1, description="Events of the audit trail older than this are deleted, days."
    )

    # The index
    index: Literal["auto", "flat"] = Field(
        default="auto",
        description="flat: every search is exact, and takes as long as there are pictures. auto: what is "
        "beyond index_flat_up_to is clustered: most of it is found, in less memory and time; `penumbra bench "
        "index` says how much.",
    )
    index_flat_up_to: int = Field(
        default=100_000,
        ge=1,
        description="Pictures of a gallery, of one occlusion type, that are searched exactly; needs 18 bytes "
        "a picture and dimension.",
    )
    index_bits: Literal[8, 16] = Field(
        default=8, description="Bits of a feature's component in what is clustered; 16 is exact."
    )
    index_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of what is clustered that a search looks at: more finds more and takes longer.",
    )

    # Batching and load
    max_batch: int = Field(
        default=32,
        ge=1,
        description="Largest batch, in rows. A picture counts once per occlusion code asked for; one picture "
        "with more codes than this is still taken, alone.",
    )
    queue_limit: int = Field(
        default=1024,
        ge=2,
        description="Pictures that may wait for the model; one more is answered with 429. At least as many "
        "as one request may have: max_files, max_query_files, and two in /v1/verify.",
    )
    requests_limit: int = Field(
        default=512,
        ge=1,
        description="Requests that are worked on at a time, whatever they wait for; one more is answered "
        "with 429. A stream of queries is one.",
    )
    deadline_s: float = Field(
        default=30.0,
        gt=0,
        description="A request that takes longer, once it has come in whole, is answered with 504, seconds. "
        "A change that has begun is ended and answered all the same.",
    )
    body_deadline_s: float = Field(
        default=30.0,
        gt=0,
        description="A request of whose body nothing more comes for this long is answered with 408, seconds; "
        "a stream of queries ends when its lines so far are answered.",
    )
    body_bytes_per_s: float = Field(
        default=16 * 1024,
        gt=0,
        description="A body may take body_deadline_s, and a second more for each so many bytes of it that "
        "came: at 16 KiB/s the largest, 64 MiB, some 69 minutes; then 408. Of a stream of queries: a line.",
    )
    decode_threads: int = Field(
        default_factory=usable_cores, ge=1, description="Threads that decode pictures, off the event loop."
    )
    shutdown_grace_s: float = Field(
        default=40.0,
        gt=0,
        description="After SIGTERM, how long accepted requests may take to finish, seconds; what is left "
        "then is answered with 503. Longer than deadline_s, or that befalls those accepted last.",
    )

    # Limits of one request
    max_body_bytes: int = Field(
        default=64 * MEBIBYTE, ge=1, description="Largest request body, bytes; beyond it 413."
    )
    max_picture_bytes: int = Field(
        default=16 * MEBIBYTE, ge=1, description="Largest picture file, bytes; beyond it 413."
    )
    max_pixels: int = Field(
        default=40_000_000,
        ge=1,
        le=178_956_970,
        description="Most pixels (width x height) of a picture, read from its header before decoding; at "
        "most as many as Pillow opens.",
    )
    max_files: int = Field(default=64, ge=1, le=64, description="Most pictures in one enrolment.")
    max_query_files: int = Field(default=16, ge=1, le=16, description="Most pictures in one query.")
    max_line_bytes: int = Field(
        default=32 * MEBIBYTE, ge=1, description="Longest line of a batch of queries, bytes."
    )
    batch_concurrency: int = Field(
        default=4, ge=1, le=256, description="Queries of one batch that are worked on at a time."
    )
    max_top_k: int = Field(default=10_000, ge=1, description="Most results of one query.")

    # Seen from outside
    otlp_endpoint: Annotated[str, AfterValidator(_an_endpoint)] | None = Field(
        default=None,
        description="OpenTelemetry collector that gets traces by OTLP over HTTP, e.g. http://127.0.0.1:4318; "
        "needs the extra `tracing`. Unset, nothing is traced.",
    )

    # Log
    log_format: Literal["text", "json"] = Field(
        default="text", description="text for people, json (one object a line) for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe entry that is logged."
    )

    @field_validator("max_files", "max_query_files")
    @classmethod
    def _fits_the_queue(cls, files: int, about: ValidationInfo) -> int:
        """A request is refused whole where its pictures are too many to wait, and would be at every try."""
        queue_limit = about.data.get("queue_limit", files)
        if files > queue_limit:
            raise ValueError(
                f"{files} pictures of one request cannot wait where queue_limit is {queue_limit}: lower "
                f"{about.field_name} or raise queue_limit"
            )
        return files

    @property
    def anonymous_may_ask(self) -> bool:
        """Whether anybody may ask while there is no active key: this machine alone, unless said otherwise.

        Behind a proxy the service cannot tell: what comes over loopback may come from anywhere.
        """
        return self.allow_anonymous or (is_loopback(self.host) and not self.proxies)

    @property
    def names(self) -> frozenset[str] | None:
        """By which, while there is no active key, the service may be asked, in lower case; None: by any."""
        said = frozenset(_divided(self.anonymous_hosts.lower()))
        if self.anonymous_may_ask and (said or not self.allow_anonymous):
            return said | {"localhost"}
        return None

    @property
    def proxies(self) -> list[str]:
        """``trusted_proxies``, one by one."""
        return _divided(self.trusted_proxies)


def _divided(text: str) -> list[str]:
    """What stands between commas, but for what is empty."""
    return [one.strip() for one in text.split(",") if one.strip()]


def not_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables that look like settings and are none, each with the one that may have been meant.

    Those that are empty count as not set here too.
    """
    known = [name.upper() for name in Settings.model_fields]
    found: dict[str, str | None] = {}
    for name in sorted(environment):
        prefix, named = name.upper()[: len(_PREFIX)], name.upper()[len(_PREFIX) :]
        if environment[name] and prefix == _PREFIX and named not in known and name not in _OF_COMMANDS:
            meant = difflib.get_close_matches(named, known, n=1, cutoff=0.7)
            found[name] = _PREFIX + meant[0] if meant else None
    return found


def is_address(host: str) -> bool:
    """Whether a host is named by its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine, to whoever asks."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name could come to mean anything
        return False

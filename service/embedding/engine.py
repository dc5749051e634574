"""A bundle in ONNX Runtime, on the best provider that this machine has, and said so in the log."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from models import occlusion
from models.bundle import ATTENTION, EMBEDDINGS, GRADES, IMAGES, OCCLUSION, SOURCE, Bundle
from service.settings import Provider

log = logging.getLogger(__name__)

PREFERENCE: Final[tuple[Provider, ...]] = ("tensorrt", "cuda", "openvino", "cpu")
"""Order in which ``auto`` tries."""

_ORT_NAMES: Final[dict[Provider, str]] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


_TRIALS: Final = 5
"""Of one picture on each session, the quickest of which counts."""


class ProviderError(RuntimeError):
    """The provider asked for cannot be had here. The message says why and what can."""


class Engine:
    """A bundle in ONNX Runtime. ``run`` may be called from any thread.

    On a CPU, operators of a small network are too short to be worth sharing: threads wait for each other
    more than they work. Batches beside each other, each on its own share of the cores, do not. So with more
    than one lane the threads are split among them; and where a single picture is quicker with all threads
    on it, which is tried at the start, a second session is there for batches that run alone.

    Attributes:
        bundle: what is computed.
        provider: where: ``"tensorrt"``, ``"cuda"``, ``"openvino"`` or ``"cpu"``.
        lanes: how many batches may run at a time; 1 where it is not the CPU that computes.
    """

    def __init__(
        self,
        bundle: Bundle,
        provider: Provider,
        threads: int,
        max_rows: int,
        cache_folder: Path,
        lanes: int = 1,
    ) -> None:
        """Open the session.

        Args:
            bundle: what to compute.
            provider: where; ``"auto"`` takes the first of :data:`PREFERENCE` that works.
            threads: on the CPU, of all lanes together.
            max_rows: largest batch that will be run (TensorRT plans for it).
            cache_folder: where TensorRT keeps the engines it built, which takes minutes the first time.
            lanes: batches that are to run at a time, on the CPU.

        Raises:
            ProviderError: the provider named is not installed or does not work here.
        """
        self.bundle: Final = bundle
        self._max_rows = max(max_rows, occlusion.COUNT)
        self._threads = threads
        self._cache_folder = cache_folder
        self._outputs = [EMBEDDINGS, GRADES] if bundle.metadata.has_grader else [EMBEDDINGS]
        lanes = min(lanes, threads)
        self._share = threads // lanes
        self.provider, self._session = self._open(provider)
        self.lanes = lanes if self.provider == "cpu" else 1
        self._wide = self._session_for_one()

    def run(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        alone: bool = False,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Embed (design §3).

        Args:
            images: uint8 [B, H, W, 3], RGB.
            source: int64 [N], rows of ``images``.
            codes: int64 [N], 0 to 8.
            alone: no other batch runs: all threads may work on this one.

        Returns:
            embeddings float32 [N, D] of unit length, and grades float32 [N, 4] or None without a grader.
        """
        session = self._wide if alone and self._wide is not None else self._session
        outputs = session.run(self._outputs, {IMAGES: images, SOURCE: source, OCCLUSION: codes})
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bundle's file, 64 hex digits."""
        return self.bundle.fingerprint

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of ``images``, pixels."""
        return self.bundle.metadata.height, self.bundle.metadata.width

    def attention(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
        """Where the model looks in whole pictures (design §3), beside the batches that :meth:`run` runs.

        Args:
            images: uint8 [B, H, W, 3], RGB.

        Returns:
            float32 [B, h, w], 0 to 1; None where the bundle has no such output.
        """
        if not self.bundle.metadata.has_attention:
            return None
        source, codes = np.arange(len(images), dtype=np.int64), np.zeros(len(images), dtype=np.int64)
        found: npt.NDArray[np.float32] = self._session.run(
            [ATTENTION], {IMAGES: images, SOURCE: source, OCCLUSION: codes}
        )[0]
        return found

    @property
    def providers(self) -> list[str]:
        """ONNX Runtime's names of what computes, the first choice first."""
        return list(self._session.get_providers())

    def warm_up(self) -> None:
        """Run once with one row and once with the most, so that no caller waits for first-time work.

        Raises whatever ONNX Runtime does where it cannot run the bundle any more.
        """
        for session in (self._session, self._wide):
            if session is not None:
                self._run_rows(session, 1)
                self._run_rows(session, self._max_rows)

    def reopen(self) -> None:
        """Open the sessions anew, on the same provider; those that run meanwhile end as they can."""
        self._session = self._session_on(self.provider, self._share)
        if self._wide is not None:
            self._wide = self._session_on(self.provider, self._threads)

    def _session_for_one(self) -> onnxruntime.InferenceSession | None:
        """A session of all threads, where those make a single picture quicker by more than a tenth."""
        if self.provider != "cpu" or self._share == self._threads:
            return None
        wide = self._session_on("cpu", self._threads)
        took: dict[onnxruntime.InferenceSession, float] = {}
        for session in (self._session, wide) * _TRIALS:
            began = time.perf_counter()
            self._run_rows(session, 1)
            took[session] = min(took.get(session, math.inf), time.perf_counter() - began)
        worth_it = took[wide] < 0.9 * took[self._session]
        log.info(
            "one picture takes %.1f ms with a thread count of %d and %.1f ms with %d: batches that run alone "
            "get %d",
            1000 * took[self._session],
            self._share,
            1000 * took[wide],
            self._threads,
            self._threads if worth_it else self._share,
        )
        return wide if worth_it else None

    def _run_rows(self, session: onnxruntime.InferenceSession, rows: int) -> None:
        metadata = self.bundle.metadata
        images = np.zeros((rows, metadata.height, metadata.width, 3), dtype=np.uint8)
        of_each, whole = np.arange(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        session.run(self._outputs, {IMAGES: images, SOURCE: of_each, OCCLUSION: whole})

    def _open(self, provider: Provider) -> tuple[Provider, onnxruntime.InferenceSession]:
        installed = onnxruntime.get_available_providers()
        wanted = PREFERENCE if provider == "auto" else (provider,)
        reasons: list[str] = []
        for candidate in wanted:
            if _ORT_NAMES[candidate] not in installed:
                reasons.append(f"{candidate} is not in the installed ONNX Runtime")
                continue
            session = self._session_on(candidate, self._share)
            # ONNX Runtime falls back by itself when a provider's libraries do not load.
            if session.get_providers()[0] == _ORT_NAMES[candidate]:
                log.info(
                    "computing on %s (ONNX Runtime %s)%s",
                    candidate,
                    onnxruntime.__version__,
                    "; " + "; ".join(reasons) if reasons else "",
                )
                return candidate, session
            reasons.append(f"{candidate} is installed but does not work here (its libraries or device)")
            log.warning("%s", reasons[-1])
        raise ProviderError(
            f"provider {provider!r} cannot be used: {'; '.join(reasons)}. "
            f"This ONNX Runtime offers: {', '.join(installed)}. Set PENUMBRA_PROVIDER=auto to take the best."
        )

    def _session_on(self, provider: Provider, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait take the cores from decoding and from HTTP.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        if provider in ("cuda", "tensorrt") and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # finds CUDA and cuDNN where pip put them
        chain: list[str | tuple[str, dict[str, str]]] = [(_ORT_NAMES[provider], self._options(provider))]
        if provider == "tensorrt":
            chain.append((_ORT_NAMES["cuda"], self._options("cuda")))
        if provider != "cpu":
            chain.append(_ORT_NAMES["cpu"])
        return onnxruntime.InferenceSession(self.bundle.content, sess_options=options, providers=chain)

    def _options(self, provider: Provider) -> dict[str, str]:
        if provider == "cuda":
            # Batches come in every size; an exhaustive search of convolutions for each would stall them.
            return {"cudnn_conv_algo_search": "HEURISTIC"}
        if provider == "openvino":
            return {"device_type": "CPU", "num_of_threads": str(self._threads)}
        if provider == "tensorrt":
            metadata = self.bundle.metadata

            def shapes(rows: int) -> str:
                picture = f"{metadata.height}x{metadata.width}x3"
                return f"{IMAGES}:{rows}x{picture},{SOURCE}:{rows},{OCCLUSION}:{rows}"

            folder = self._cache_folder / "tensorrt" / self.bundle.fingerprint
            folder.mkdir(parents=True, exist_ok=True)
            return {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(folder),
                "trt_profile_min_shapes": shapes(1),
                "trt_profile_opt_shapes": shapes(self._max_rows),
                "trt_profile_max_shapes": shapes(self._max_rows),
            }
        return {}

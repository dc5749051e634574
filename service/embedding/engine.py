"""A bundle in ONNX Runtime, on the best provider that this machine has, and said so in the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from models import occlusion
from models.bundle import EMBEDDINGS, GRADES, IMAGES, OCCLUSION, SOURCE, Bundle
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


class ProviderError(RuntimeError):
    """The provider asked for cannot be had here. The message says why and what can."""


class Engine:
    """One ONNX Runtime session on one bundle. ``run`` may be called from any thread.

    Attributes:
        bundle: what is computed.
        provider: where: ``"tensorrt"``, ``"cuda"``, ``"openvino"`` or ``"cpu"``.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider, threads: int, max_rows: int, cache_folder: Path
    ) -> None:
        """Open the session.

        Args:
            bundle: what to compute.
            provider: where; ``"auto"`` takes the first of :data:`PREFERENCE` that works.
            threads: within one operator, on the CPU.
            max_rows: largest batch that will be run (TensorRT plans for it).
            cache_folder: where TensorRT keeps the engines it built, which takes minutes the first time.

        Raises:
            ProviderError: the provider named is not installed or does not work here.
        """
        self.bundle: Final = bundle
        self._max_rows = max(max_rows, occlusion.COUNT)
        self._threads = threads
        self._cache_folder = cache_folder
        self.provider, self._session = self._open(provider)
        self._outputs = [EMBEDDINGS, GRADES] if bundle.metadata.has_grader else [EMBEDDINGS]

    def run(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Embed (design §3).

        Args:
            images: uint8 [B, H, W, 3], RGB.
            source: int64 [N], rows of ``images``.
            codes: int64 [N], 0 to 8.

        Returns:
            embeddings float32 [N, D] of unit length, and grades float32 [N, 4] or None without a grader.
        """
        outputs = self._session.run(self._outputs, {IMAGES: images, SOURCE: source, OCCLUSION: codes})
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def warm_up(self) -> None:
        """Run once with one row and once with the most, so that no caller waits for first-time work."""
        metadata = self.bundle.metadata
        for rows in (1, self._max_rows):
            images = np.zeros((rows, metadata.height, metadata.width, 3), dtype=np.uint8)
            self.run(images, np.arange(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64))

    def _open(self, provider: Provider) -> tuple[Provider, onnxruntime.InferenceSession]:
        installed = onnxruntime.get_available_providers()
        wanted = PREFERENCE if provider == "auto" else (provider,)
        reasons: list[str] = []
        for candidate in wanted:
            if _ORT_NAMES[candidate] not in installed:
                reasons.append(f"{candidate} is not in the installed ONNX Runtime")
                continue
            session = self._session_on(candidate)
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

    def _session_on(self, provider: Provider) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
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

"""The answers that the OpenAPI page shows: what a service with a shipped model answered, in one go.

The gallery ``shop`` had two people, and of the query's picture the lower half was black. Long lists and texts
are cut, and the model shown is the one without calibration, whose metadata is shorter.
``tests/integration/service/test_examples.py`` holds them against the schemas and against a running service.
"""

from __future__ import annotations

from typing import Any, Final

MODEL: Final = "6e8f628f79ed5a54609275750951854da2ca27b63f7c3f547a2d517256f610b5"
IMAGE: Final = "01M8065Q2KJ51QD58VMFM3D9EB"
CURSOR: Final = "PwmQXy0Cqkv2cY2G2k9i8bTzW0lIuL6m5f0r2yqA1jHnK1s"
"""As one looks; each is of one list of one catalog."""

OTHER_IMAGE: Final = "01M8065Q2KDS5P56BZCH5P9A51"
COPY: Final = "01M8065Q7JDTY67YC353FPHQDX"

Json = dict[str, Any]

_WHOLE: Final[Json] = {
    "type": "none",
    "scores": {"top": 0.261662, "bottom": 0.247944, "left": 0.298279, "right": 0.192115},
}
_OTHER_WHOLE: Final[Json] = {
    "type": "none",
    "scores": {"top": 0.315046, "bottom": 0.130499, "left": 0.376872, "right": 0.177584},
}
_HALF: Final[Json] = {
    "type": "bottom_half",
    "scores": {"top": 0.025942, "bottom": 0.856035, "left": 0.030866, "right": 0.087157},
}

GALLERY_MADE: Final[Json] = {
    "name": "shop",
    "images": 0,
    "people": 0,
    "pending": 0,
    "keep_pictures": True,
    "retention_days": 30,
    "index": "auto",
    "created_at": "2026-11-21T23:13:28.462045Z",
    "match_rate": None,
    "uncertain_rate": None,
    "prior": None,
}
GALLERY: Final[Json] = {**GALLERY_MADE, "images": 3, "people": 2}
GALLERY_CHANGED: Final[Json] = {**GALLERY, "match_rate": 0.001}
GALLERIES: Final[Json] = {"items": [GALLERY], "next_cursor": None}
STATISTICS: Final[Json] = {
    "images": 3,
    "people": 2,
    "pending": 0,
    "by_occlusion": {"none": 3},
    "feature_bytes": 27648,
    "picture_bytes": 6706,
    "thumbnail_bytes": 8076,
    "first_enrolled": "2026-11-21T23:13:28.715742Z",
    "last_enrolled": "2026-11-21T23:13:28.854174Z",
}
REINDEXING: Final[Json] = {
    "running": False,
    "images": 3,
    "done": 3,
    "waiting": 0,
    "not_kept": 0,
    "failed": 0,
    "failed_images": [],
    "problem": None,
    "answers": MODEL,
}
REINDEXING_BEGUN: Final[Json] = {**REINDEXING, "running": True}

ENROLLED: Final[Json] = {
    "items": [
        {
            "id": IMAGE,
            "client_id": "anna-1",
            "status": "enrolled",
            "person": "anna",
            "differs": [],
            "occlusion": _WHOLE,
            "duplicate_of": None,
        },
        {
            "id": None,
            "client_id": "notes.txt",
            "status": "failed",
            "person": None,
            "differs": [],
            "occlusion": None,
            "duplicate_of": None,
            "problem": {
                "type": "https://penumbra.invalid/problems/not-a-picture",
                "title": "Not a picture",
                "status": 422,
                "detail": "The 311 bytes are no picture; accepted are JPEG, PNG, WEBP, BMP, TIFF.",
            },
        },
    ]
}
PICTURE: Final[Json] = {
    "id": IMAGE,
    "person": "anna",
    "camera": "entrance",
    "time": "2026-01-31T12:00:00Z",
    "client_id": "anna-1",
    "metadata": {"shift": "night"},
    "enrolled_at": "2026-11-21T23:13:28.715742Z",
    "occlusion": _WHOLE,
    "kept": True,
    "pending": False,
}
PICTURES: Final[Json] = {"items": [PICTURE], "next_cursor": CURSOR}
DUPLICATES: Final[Json] = {
    "items": [
        {
            "id": COPY,
            "person": "ben",
            "client_id": "copy of ben-1",
            "duplicate_of": OTHER_IMAGE,
            "duplicate_of_person": "ben",
        }
    ],
    "next_cursor": None,
}

PERSON: Final[Json] = {"name": "anna", "images": 1}
PERSON_CHANGED: Final[Json] = {"name": "anna maria", "images": 1}
PEOPLE: Final[Json] = {"items": [PERSON, {"name": "ben", "images": 2}], "next_cursor": None}

_MATCHED: Final[Json] = {
    "id": IMAGE,
    "camera": "entrance",
    "time": "2026-01-31T12:00:00Z",
    "client_id": "anna-1",
    "metadata": {"shift": "night"},
    "occlusion": _WHOLE,
}
QUERY: Final[Json] = {
    "query": {"occlusion": _HALF, "pictures": [{"occlusion": _HALF}], "compared_images": 3, "overlay": None},
    "results": [
        {
            "rank": 1,
            "person": "anna",
            "score": 0.5481128096580505,
            "probability": 0.729358,
            "decision": "uncertain",
            "image": _MATCHED,
            "compared": "bottom_half",
            "distance": None,
            "overlay": None,
            "evidence": [],
        },
        {
            "rank": 2,
            "person": "ben",
            "score": -0.1331162452697754,
            "probability": 0.004005,
            "decision": "unknown",
            "image": {
                "id": OTHER_IMAGE,
                "camera": "yard",
                "time": None,
                "client_id": "ben-1",
                "metadata": {},
                "occlusion": _OTHER_WHOLE,
            },
            "compared": "bottom_half",
            "distance": None,
            "overlay": None,
            "evidence": [],
        },
    ],
    "pending": 0,
    "model": MODEL,
    "timings": {"decode": 3.821, "queue": 0.046, "embed": 2.511, "search": 13.92, "total": 24.531},
}
BATCH_ANSWER: Final[Json] = {"line": 1, "id": "frame-17", "answer": QUERY, "problem": None}
VERIFIED: Final[Json] = {
    "score": 0.5481187105178833,
    "probability": 0.889931,
    "decision": "uncertain",
    "pictures": [{"occlusion": _WHOLE}, {"occlusion": _HALF}],
    "image": None,
    "compared": "bottom_half",
    "model": MODEL,
}
EMBEDDED: Final[Json] = {
    "items": [
        {
            "occlusion": _WHOLE,
            "embeddings": {
                "none": [-0.0198892, 0.0294369, 0.0576519],
                "bottom_half": [0.0118189, 0.0102728, 0.0525729],
            },
        }
    ],
    "model": MODEL,
}

SERVED_MODEL: Final[Json] = {
    "schema_version": 1,
    "name": "baseline-osnet_x0_5-market1501",
    "system": "baseline",
    "backbone": "osnet_x0_5",
    "height": 128,
    "width": 64,
    "dimension": 512,
    "has_grader": False,
    "has_attention": False,
    "quarter_threshold": 0.5,
    "half_threshold": 0.75,
    "calibration": None,
    "training": {
        "data": [
            "market1501-val, training half: 10524 pictures of 600 people",
            "synthetic pedestrians, seed 1: 1800 pictures of 150 people",
        ],
        "recipe": 'name = "baseline-osnet_x0_5-market1501"\nsystem = "baseline"\nseed = 1\nepochs = 8\n',
        "command": "penumbra-train fit training/recipes/baseline-scratch.toml --root data "
        "--initial checkpoint.pt --out baseline --device cpu",
        "machine": "CPU x86_64, 2 threads, torch 2.15.0+cu132",
        "duration_s": 518.8,
        "revision": "0e890d353e95",
        "notes": "1576 steps. Weights started from pretrain.",
    },
    "figures": [
        {
            "protocol": "partial-ilids",
            "unify": "off",
            "rank1": 33.333,
            "rank5": 53.846,
            "rank10": 69.231,
            "map": 43.648,
            "queries": 117,
            "gallery": 117,
        }
    ],
    "gate": {
        "batches": [1, 2, 7, 32],
        "max_abs_difference": 5.252659320831299e-07,
        "min_cosine": 0.9999994039535522,
        "same_top10": 1.0,
        "map_difference": 0.0,
        "pictures": "644 queries and 1768 gallery pictures of market1501-val",
    },
    "opset": 17,
    "precision": "float32",
    "licence": "Apache-2.0",
    "terms": "Trained on pictures of people that were released for research. For research use; before any "
    "other use, check the terms of every data set named under training.",
    "fingerprint": "c05ab432afdfbf9c77852eea3f85bb3f9b0e08d3e6d3e71f3184ab4746544058",
    "provider": "cpu",
}
ALIVE: Final[Json] = {"status": "alive"}
READY: Final[Json] = {
    "status": "ready",
    "parts": {"model": True, "catalog": True, "index": True, "pictures": True},
}
METRICS: Final = """# HELP penumbra_requests_total Requests answered.
# TYPE penumbra_requests_total counter
penumbra_requests_total{method="POST",route="/v1/galleries",status="201"} 1.0
penumbra_requests_total{method="POST",route="/v1/galleries/{gallery}/images",status="201"} 2.0
"""


def answered(example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an OpenAPI operation whose JSON answer looks like this."""
    return {status: {"content": {"application/json": {"example": example}}}}

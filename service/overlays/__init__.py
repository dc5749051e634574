"""Pictures that show why a query was answered so: what was compared, and where the model looked."""

from service.overlays.overlays import MOST_RESULTS, Overlays, QueryOverlay, QueryOverlays, ResultOverlay

__all__ = ["MOST_RESULTS", "Overlays", "QueryOverlay", "QueryOverlays", "ResultOverlay"]

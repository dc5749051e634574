"""What the service does, each thing described once. The names are those of the clients' methods."""

from service.client.calls import batch, enrolment, galleries, people, pictures, queries, served

__all__ = ["batch", "enrolment", "galleries", "people", "pictures", "queries", "served"]

"""REST: routers, schemas, problem responses, middlewares."""

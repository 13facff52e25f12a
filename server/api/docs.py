"""A page that lists what the surface answers, drawn from its own OpenAPI description and nothing from elsewhere."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.api.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/api/v1/docs")
def list_routes(request: Request) -> Response:
    """Every route with its parameters; /openapi.json has all of it for programs."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "about": about.get("description", ""),
            "parameters": [each["name"] for each in about.get("parameters", [])],
        }
        for path, methods in paths.items()
        for method, about in methods.items()
    ]
    return page(request, "docs.html", routes=routes)
